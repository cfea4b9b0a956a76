"""The queue of what could not be delivered to the worker: asynchronous calls that failed for good, schedules' events.

The rule: nothing in it has to be sent again, as the sweeps find what was left undone. It is there to be noticed and read.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names

# The longest that SQS keeps a message.
_DAYS = 14


def dead_letters(names: Names, opts: pulumi.ResourceOptions) -> aws.sqs.Queue:
    """The queue. Who sends to it does so by its own role, so the queue needs no policy that lets anybody in."""
    return aws.sqs.Queue(
        "dead-letters",
        name=names.dead_letters,
        message_retention_seconds=_DAYS * 24 * 3600,
        sqs_managed_sse_enabled=True,
        opts=opts,
    )

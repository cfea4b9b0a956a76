"""The queue of what could not be delivered to the worker: asynchronous calls that failed permanently, and schedules' events.

The rule: nothing in it has to be sent again, because the sweeps find what was not done. It is there to be noticed and read.
"""

from __future__ import annotations

import pulumi_aws as aws

from bootstrap.program.blueprint import Blueprint

# The longest that SQS keeps a message.
_DAYS = 14


def dead_letters(blueprint: Blueprint) -> aws.sqs.Queue:
    """The queue. Its senders use their own roles, so it needs no policy."""
    return aws.sqs.Queue(
        "dead-letters",
        name=blueprint.names.dead_letters,
        message_retention_seconds=_DAYS * 24 * 3600,
        sqs_managed_sse_enabled=True,
        opts=blueprint.opts,
    )

"""The schedules that start the sweeps: a light one every few minutes, a deep one at night.

The rule: they call the worker directly, with an event that looks like a scheduled rule's, so that either kind can be used. An
event that stays undelivered until the next would come goes to the dead letters.
"""

from __future__ import annotations

import json
from typing import Literal

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names
from bootstrap.program.roles import Role
from bootstrap.setting_types import time_between_runs
from bootstrap.settings import Settings


def schedules(
    settings: Settings,
    names: Names,
    worker: aws.lambda_.Function,
    role: Role,
    queue: aws.sqs.Queue,
    opts: pulumi.ResourceOptions,
) -> None:
    """Both schedules, in UTC. One that could not be delivered is tried again until shortly before the next would come."""
    _schedule(
        names.nightly_schedule,
        settings.nightly_schedule,
        "deep",
        interval(settings.nightly_schedule, 3600),
        worker,
        role,
        queue,
        opts,
    )
    _schedule(
        names.light_schedule,
        settings.light_schedule,
        "light",
        interval(settings.light_schedule, 300),
        worker,
        role,
        queue,
        opts,
    )


def interval(schedule: str, longest: int) -> int:
    """Seconds between two runs of a `rate(…)`, at most `longest`; a `cron(…)` counts as `longest`."""
    between = time_between_runs(schedule)
    return min(int(between.total_seconds()), longest) if between else longest


def sweep_event(sweep: Literal["deep", "light"]) -> dict[str, object]:
    """The event that the worker function gets."""
    return {"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": sweep}}


def _schedule(
    name: str,
    expression: str,
    sweep: Literal["deep", "light"],
    max_age_seconds: int,
    worker: aws.lambda_.Function,
    role: Role,
    queue: aws.sqs.Queue,
    opts: pulumi.ResourceOptions,
) -> None:
    aws.scheduler.Schedule(
        name,
        name=name,
        description=f"fibfactory's {sweep} sweep",
        schedule_expression=expression,
        flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
        target=aws.scheduler.ScheduleTargetArgs(
            arn=worker.arn,
            role_arn=role.arn,
            input=json.dumps(sweep_event(sweep)),
            dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=queue.arn),
            retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                maximum_retry_attempts=5, maximum_event_age_in_seconds=max_age_seconds
            ),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[role.policy])),
    )

"""The schedules that start the sweeps: a light one every few minutes, a deep one at night.

The rule: they call the worker directly, with an event of the form that EventBridge's scheduled rules have, so that either can be
used. An event that is not delivered before the next one is due goes to the dead letters.
"""

from __future__ import annotations

import json

import pulumi_aws as aws

from bootstrap.program.blueprint import Blueprint
from bootstrap.program.roles import Role
from bootstrap.setting_types import time_between_runs


def schedules(blueprint: Blueprint, worker: aws.lambda_.Function, role: Role, queue: aws.sqs.Queue) -> None:
    """Both schedules, in UTC."""
    names, settings = blueprint.names, blueprint.settings
    for kind, name, expression, longest in (
        ("deep", names.nightly_schedule, settings.nightly_schedule, 3600),
        ("light", names.light_schedule, settings.light_schedule, 300),
    ):
        aws.scheduler.Schedule(
            name,
            name=name,
            description=f"fibfactory's {kind} sweep",
            schedule_expression=expression,
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=aws.scheduler.ScheduleTargetArgs(
                arn=worker.arn,
                role_arn=role.arn,
                input=json.dumps(sweep_event(kind)),
                dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=queue.arn),
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_retry_attempts=5, maximum_event_age_in_seconds=interval(expression, longest)
                ),
            ),
            opts=blueprint.after(role.policy),
        )


def interval(schedule: str, longest: int) -> int:
    """Seconds between two runs of a `rate(…)`, at most `longest`; a `cron(…)` counts as `longest`."""
    between = time_between_runs(schedule)
    return min(int(between.total_seconds()), longest) if between else longest


def sweep_event(sweep: str) -> dict[str, object]:
    """The event with which the worker function is called; `sweep` is `deep` or `light`."""
    return {"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": sweep}}

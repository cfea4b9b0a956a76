"""The alarms, and the topic that they are sent to.

The rule: each alarm's description says what it means and where to look first. Missing data is no alarm, except for light sweeps,
which must report all the time; their alarm is therefore on until a new platform's first sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names
from bootstrap.program.blueprint import Blueprint
from bootstrap.program.schedules import interval
from bootstrap.settings import Settings
from orchestrator.domain.metrics import Metric

NAMESPACE = "fibfactory"
_HOUR, _DAY, _WEEK = 3600, 86400, 7 * 86400

# What each alarm means; it is the text of its notification.
_DEAD_LETTERS = (
    "An event did not reach the worker. Read it in this alarm's queue, remove the cause, delete it: sweeps send again what was "
    "not done."
)
_NO_LIGHT_SWEEP = (
    "No light sweep ended: nothing expires and nothing is retried. Look at the schedule and the worker's log."
)
_NO_DEEP_SWEEP = "No deep sweep ended: orphans are not found. Look at the schedule and the worker's log."
_SWEEP_INCOMPLETE = "A sweep failed, ran out of time or stopped at its cap. Its report says why: GET /sweeps/{id}."
_SWEEP_FAILURES = "A sweep could not do some of its steps. Its report names them: GET /sweeps/{id}."
_ENVIRONMENTS_FAILED = (
    "Several environments failed within a quarter of an hour: the cause is probably the platform's, not their owners'. "
    "GET /environments?status=failed says why."
)
_BACKLOG = "Sweeps leave work to the next one again and again: more is due than they get done."
_OVERDUE = "Something has been due for long and does not get done. The last light sweep's report names it."
_WORKER_ERRORS = "The worker fails. Its log has the reason."
_THROTTLED = "Lambda has no room: raise the account's concurrency, or this function's reserved one."
_ANSWERS_5XX = "Callers get errors that they did not cause. The API function's log has the reason."


@dataclass(frozen=True)
class Alarm:
    """`statistic` of a metric over `period` seconds, `times` in a row, at or above `threshold`, or `below` it.

    Without `of`, which is an AWS namespace and dimension, the metric is the platform's own. The dimension may be an output of a
    resource. Missing data counts as below the threshold if `silence_alarms`, else as OK.
    """

    metric: str
    statistic: Literal["Sum", "Maximum"]
    threshold: int
    period: int
    meaning: str
    times: int = 1
    below: bool = False
    silence_alarms: bool = False
    of: tuple[str, str, pulumi.Input[str]] | None = None


def topic(blueprint: Blueprint) -> aws.sns.Topic:
    """The topic, and the email addresses that it is sent to once they confirm the email that AWS sends them.

    It is not encrypted with a key: CloudWatch can't use AWS's own key for topics, the platform's key is for the state only, and
    an alarm contains nothing but its description and a number.
    """
    made = aws.sns.Topic("alarms", name=blueprint.names.alarms, opts=blueprint.opts)
    for email in blueprint.settings.alarm_emails:
        aws.sns.TopicSubscription(
            f"alarms-{email}", topic=made.arn, protocol="email", endpoint=email, opts=blueprint.opts
        )
    return made


def alarms(
    blueprint: Blueprint, apis: Mapping[str, pulumi.Input[str]], to: aws.sns.Topic
) -> list[aws.cloudwatch.MetricAlarm]:
    """All alarms; `apis` are the APIs' ids by their kinds of callers. The topic is told when they go off and when they end."""
    names = blueprint.names
    made = []
    for name, alarm in declared(blueprint.settings, names, apis).items():
        namespace, dimension, value = alarm.of or (NAMESPACE, "service", names.platform)
        made.append(
            aws.cloudwatch.MetricAlarm(
                name,
                name=f"{names.platform}-{name}",
                alarm_description=alarm.meaning,
                namespace=namespace,
                metric_name=alarm.metric,
                dimensions={dimension: value},
                statistic=alarm.statistic,
                period=alarm.period,
                evaluation_periods=alarm.times,
                threshold=alarm.threshold,
                comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanOrEqualToThreshold",
                treat_missing_data="breaching" if alarm.silence_alarms else "notBreaching",
                alarm_actions=[to.arn],
                ok_actions=[to.arn],
                opts=blueprint.opts,
            )
        )
    return made


def declared(settings: Settings, names: Names, apis: Mapping[str, pulumi.Input[str]]) -> dict[str, Alarm]:
    """The alarms by their names without the platform's."""
    light, deep = interval(settings.light_schedule, _DAY), interval(settings.nightly_schedule, _WEEK)
    # CloudWatch looks back one day at most, seven where a period is an hour or longer.
    in_a_row, nights = min(3, _DAY // light), 3 if deep < _DAY else min(7, deep // _DAY + 1)
    letters = ("AWS/SQS", "QueueName", names.dead_letters)
    api, worker = (("AWS/Lambda", "FunctionName", function) for function in (names.api_function, names.worker_function))
    return {
        "dead-letters": Alarm("ApproximateNumberOfMessagesVisible", "Maximum", 1, 300, _DEAD_LETTERS, of=letters),
        "no-light-sweep": Alarm(
            "light_sweeps", "Sum", 1, light, _NO_LIGHT_SWEEP, in_a_row, below=True, silence_alarms=True
        ),
        "no-deep-sweep": Alarm(Metric.DEEP_SWEEPS, "Sum", 1, min(deep, _DAY), _NO_DEEP_SWEEP, nights, below=True),
        "sweep-incomplete": Alarm(Metric.SWEEP_INCOMPLETE, "Sum", 1, _HOUR, _SWEEP_INCOMPLETE),
        "sweep-failures": Alarm(Metric.SWEEP_FAILURES, "Sum", 1, _HOUR, _SWEEP_FAILURES),
        "environments-failed": Alarm(Metric.ENVIRONMENT_FAILED, "Sum", 3, 900, _ENVIRONMENTS_FAILED),
        "backlog": Alarm(Metric.SWEEP_BACKLOG, "Maximum", 1, light, _BACKLOG, in_a_row),
        "overdue": Alarm(
            Metric.OLDEST_OVERDUE_SECONDS, "Maximum", max(_HOUR, 3 * light), light, _OVERDUE, min(2, in_a_row)
        ),
        "worker-errors": Alarm("Errors", "Sum", 3, 900, _WORKER_ERRORS, of=worker),
        "api-throttled": Alarm("Throttles", "Sum", 10, 300, _THROTTLED, of=api),
        "worker-throttled": Alarm("Throttles", "Sum", 10, 300, _THROTTLED, of=worker),
        **{
            f"{kind}-api-5xx": Alarm("5xx", "Sum", 5, 300, _ANSWERS_5XX, of=("AWS/ApiGateway", "ApiId", api_id))
            for kind, api_id in apis.items()
        },
    }

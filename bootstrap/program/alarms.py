"""The alarms: what an operator should be woken for, and the topic that tells.

The rule: each alarm says in its description what it means and where to look first, and each decides what silence means: nothing,
but for light sweeps, which should be heard of all the time. So that one goes off until a new platform's first sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names
from bootstrap.program.schedules import interval
from bootstrap.settings import Settings

NAMESPACE = "fibfactory"
_HOUR, _DAY, _WEEK = 3600, 86400, 7 * 86400


@dataclass(frozen=True)
class Alarm:
    """`statistic` of a metric over `period` seconds, `times` in a row, at or above `threshold`, or `below` it.

    `dimensions` may be outputs of resources. `silence` counts as below the threshold where it is trouble.
    """

    metric: str
    namespace: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Sum", "Maximum"]
    threshold: int
    period: int
    meaning: str
    times: int = 1
    below: bool = False
    silence: Literal["fine", "trouble"] = "fine"


def topic(names: Names, emails: tuple[str, ...], opts: pulumi.ResourceOptions) -> aws.sns.Topic:
    """Where alarms go, and by mail to those who confirm the mail that AWS sends them.

    It is not encrypted with a key: CloudWatch can't use AWS's own key for topics, the platform's key is for state alone, and an
    alarm says nothing but its own text and a number.
    """
    made = aws.sns.Topic("alarms", name=names.alarms, opts=opts)
    for email in emails:
        aws.sns.TopicSubscription(f"alarms-{email}", topic=made.arn, protocol="email", endpoint=email, opts=opts)
    return made


def alarms(
    settings: Settings,
    names: Names,
    apis: Mapping[str, pulumi.Input[str]],
    to: aws.sns.Topic,
    opts: pulumi.ResourceOptions,
) -> list[aws.cloudwatch.MetricAlarm]:
    """All alarms; `apis` are the APIs' ids by their kinds of callers. They tell when they go off, and when it is over."""
    return [_made(names, name, alarm, to, opts) for name, alarm in declared(settings, names, apis).items()]


def declared(settings: Settings, names: Names, apis: Mapping[str, pulumi.Input[str]]) -> dict[str, Alarm]:
    """The alarms by their names without the platform's."""
    light, deep = interval(settings.light_schedule, _DAY), interval(settings.nightly_schedule, _WEEK)
    # CloudWatch looks back one day at most, seven where a period is an hour or longer.
    in_a_row = min(3, _DAY // light)
    return {
        "dead-letters": Alarm(
            "ApproximateNumberOfMessagesVisible",
            "AWS/SQS",
            {"QueueName": names.dead_letters},
            "Maximum",
            1,
            300,
            meaning=f"An event did not reach the worker. Read it in the queue {names.dead_letters}, mend the cause, "
            "delete it: sweeps send again what was left undone.",
        ),
        "no-light-sweep": _own(
            names,
            "light_sweeps",
            "Sum",
            1,
            light,
            "No light sweep ended: nothing expires and nothing is retried. Look at the schedule and the worker's log.",
            times=in_a_row,
            below=True,
            silence="trouble",
        ),
        "no-deep-sweep": _own(
            names,
            "deep_sweeps",
            "Sum",
            1,
            min(deep, _DAY),
            "No deep sweep ended: orphans are not found. Look at the schedule and the worker's log.",
            times=3 if deep < _DAY else min(7, deep // _DAY + 1),
            below=True,
        ),
        "sweep-incomplete": _own(
            names,
            "sweep_incomplete",
            "Sum",
            1,
            _HOUR,
            "A sweep failed, ran out of time or stopped at its cap. Its report says why: GET /sweeps/{id}.",
        ),
        "sweep-failures": _own(
            names,
            "sweep_failures",
            "Sum",
            1,
            _HOUR,
            "A sweep could not do some of its steps. Its report names them: GET /sweeps/{id}.",
        ),
        "environments-failed": _own(
            names,
            "environment_failed",
            "Sum",
            3,
            900,
            "Several environments failed within a quarter of an hour: rather the platform's matter than their owners'. "
            "GET /environments?status=failed says why.",
        ),
        "backlog": _own(
            names,
            "sweep_backlog",
            "Maximum",
            1,
            light,
            "Sweeps leave work to the next one again and again: more is due than they get done.",
            times=in_a_row,
        ),
        "overdue": _own(
            names,
            "oldest_overdue_seconds",
            "Maximum",
            max(_HOUR, 3 * light),
            light,
            "Something has been due for long and does not get done. The last light sweep's report names it.",
            times=min(2, in_a_row),
        ),
        "worker-errors": Alarm(
            "Errors",
            "AWS/Lambda",
            {"FunctionName": names.worker_function},
            "Sum",
            3,
            900,
            "The worker fails. Its log has the reason.",
        ),
        **{
            f"{kind}-throttled": Alarm(
                "Throttles",
                "AWS/Lambda",
                {"FunctionName": function},
                "Sum",
                10,
                300,
                "Lambda has no room: raise the account's concurrency, or this function's reserved one.",
            )
            for kind, function in (("api", names.api_function), ("worker", names.worker_function))
        },
        **{
            f"{kind}-api-5xx": Alarm(
                "5xx",
                "AWS/ApiGateway",
                {"ApiId": api},
                "Sum",
                5,
                300,
                "Callers get errors that are not theirs. The API function's log has the reason.",
            )
            for kind, api in apis.items()
        },
    }


def _own(
    names: Names,
    metric: str,
    statistic: Literal["Sum", "Maximum"],
    threshold: int,
    period: int,
    meaning: str,
    times: int = 1,
    below: bool = False,
    silence: Literal["fine", "trouble"] = "fine",
) -> Alarm:
    return Alarm(
        metric, NAMESPACE, {"service": names.platform}, statistic, threshold, period, meaning, times, below, silence
    )


def _made(
    names: Names, name: str, alarm: Alarm, to: aws.sns.Topic, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.MetricAlarm:
    return aws.cloudwatch.MetricAlarm(
        name,
        name=f"{names.platform}-{name}",
        alarm_description=alarm.meaning,
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=alarm.dimensions,
        statistic=alarm.statistic,
        period=alarm.period,
        evaluation_periods=alarm.times,
        threshold=alarm.threshold,
        comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanOrEqualToThreshold",
        treat_missing_data="breaching" if alarm.silence == "trouble" else "notBreaching",
        alarm_actions=[to.arn],
        ok_actions=[to.arn],
        opts=opts,
    )

"""The dashboard: the platform's alarms and metrics on one page, as plain data.

The rule: first the alarms, then the requests of people, then what the platform does by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names
from bootstrap.program.alarms import NAMESPACE
from bootstrap.program.blueprint import Blueprint
from orchestrator.domain.metrics import Metric

Widget = dict[str, Any]
_COLUMNS, _HEIGHT = 3, 6
_WIDTH = 24 // _COLUMNS
_ANSWERS = ("Count", "4xx", "5xx")
_OWN_GRAPHS = (
    ("Environments, as workers left them", "Sum", [metric for metric in Metric if metric.startswith("environment_")]),
    ("Sweeps", "Sum", [Metric.LIGHT_SWEEPS, Metric.DEEP_SWEEPS, Metric.SWEEP_INCOMPLETE]),
    ("What sweeps did", "Sum", [Metric.SWEEP_FINDINGS, Metric.SWEEP_FAILURES, Metric.SWEEP_KEPT]),
    ("Longest overdue (s)", "Maximum", [Metric.OLDEST_OVERDUE_SECONDS]),
    ("Backlog", "Maximum", [Metric.SWEEP_BACKLOG]),
)
"""Graphs of the platform's own metrics: title, statistic, metrics."""


def dashboard(
    blueprint: Blueprint, apis: Mapping[str, pulumi.Input[str]], alarms: Sequence[aws.cloudwatch.MetricAlarm]
) -> aws.cloudwatch.Dashboard:
    """The dashboard; `apis` are the APIs' ids by their kinds of callers."""
    names = blueprint.names
    return aws.cloudwatch.Dashboard(
        "dashboard",
        dashboard_name=names.dashboard,
        dashboard_body=pulumi.Output.all(apis=dict(apis), arns=[alarm.arn for alarm in alarms]).apply(
            lambda known: json.dumps(body(names, known["apis"], known["arns"]))
        ),
        opts=blueprint.opts,
    )


def url(names: Names) -> str:
    """The dashboard's page in the AWS console."""
    domain = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}.get(names.partition, "aws.amazon.com")
    return f"https://{names.region}.console.{domain}/cloudwatch/home?region={names.region}#dashboards/dashboard/{names.dashboard}"


def body(names: Names, apis: Mapping[str, str], alarm_arns: Sequence[str]) -> dict[str, Any]:
    """The dashboard's content, in CloudWatch's dashboard body structure."""
    functions = (names.api_function, names.worker_function)
    graphs = [
        _graph("Requests", "Sum", [_of_api(metric, kind, api) for kind, api in apis.items() for metric in _ANSWERS]),
        _graph("Answer times (ms)", "p95", [_of_api("Latency", kind, api) for kind, api in apis.items()]),
        *(
            _graph(title, statistic, [[NAMESPACE, metric, "service", names.platform] for metric in metrics])
            for title, statistic, metrics in _OWN_GRAPHS
        ),
        _graph("Functions' errors", "Sum", [_of_function(m, f) for f in functions for m in ("Errors", "Throttles")]),
        _graph("Workers at once", "Maximum", [_of_function("ConcurrentExecutions", names.worker_function)]),
        _graph("Functions' time (ms)", "Maximum", [_of_function("Duration", function) for function in functions]),
        _graph(
            "Dead letters",
            "Maximum",
            [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", names.dead_letters]],
        ),
    ]
    alarms: Widget = {
        "type": "alarm",
        **{"x": 0, "y": 0, "width": 24, "height": 3},
        "properties": {"title": f"fibfactory, platform {names.platform}", "alarms": list(alarm_arns)},
    }
    return {"widgets": [alarms, *(_placed(number, graph, names) for number, graph in enumerate(graphs))]}


def _graph(title: str, statistic: str, metrics: list[list[Any]]) -> dict[str, Any]:
    return {"title": title, "stat": statistic, "metrics": metrics, "period": 300, "view": "timeSeries"}


def _placed(number: int, graph: dict[str, Any], names: Names) -> Widget:
    row, column = divmod(number, _COLUMNS)
    place = {"x": column * _WIDTH, "y": 3 + row * _HEIGHT, "width": _WIDTH, "height": _HEIGHT}
    return {"type": "metric", **place, "properties": {**graph, "region": names.region}}


def _of_api(metric: str, kind: str, api: str) -> list[Any]:
    return ["AWS/ApiGateway", metric, "ApiId", api, {"label": f"{metric} ({kind})"}]


def _of_function(metric: str, function: str) -> list[Any]:
    return ["AWS/Lambda", metric, "FunctionName", function]

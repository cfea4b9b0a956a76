"""Alarms and dashboards of CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes, tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource


class MetricAlarm(Resource):
    """`aws:cloudwatch/metricAlarm:MetricAlarm`; the id is the name."""

    tokens = ("aws:cloudwatch/metricAlarm:MetricAlarm",)
    service = "cloudwatch"
    supports = frozenset(
        {
            "actionsEnabled",
            "alarmActions",
            "alarmDescription",
            "comparisonOperator",
            "datapointsToAlarm",
            "dimensions",
            "evaluationPeriods",
            "extendedStatistic",
            "insufficientDataActions",
            "metricName",
            "name",
            "namespace",
            "okActions",
            "period",
            "statistic",
            "threshold",
            "treatMissingData",
            "unit",
        }
    )
    replace_on = frozenset({"name"})
    auto_name = AutoName(longest=255)
    defaults: ClassVar[Mapping[str, Any]] = {"actionsEnabled": True, "treatMissingData": "missing"}
    unordered = frozenset({"alarmActions", "insufficientDataActions", "okActions"})
    taggable = True
    gone = ("ResourceNotFound", "ResourceNotFoundException")

    def create(self, op: Operation) -> None:
        """Put it."""
        self._put(op, Tags=tags.as_list(op.all_tags))
        op.made(op.inputs["name"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The alarm, if there is one of exactly this name."""
        client = self.client(op)
        answer = client.describe_alarms(AlarmNames=[op.id], AlarmTypes=["MetricAlarm"])
        if not answer["MetricAlarms"]:
            return None
        alarm = answer["MetricAlarms"][0]
        live = shapes.response(client, "DescribeAlarms", {"MetricAlarms": [alarm]})["metricAlarms"][0]
        same = {name: live.get(name) for name in self.supports - {"dimensions", "name", "okActions"}}
        return same | {
            "name": alarm["AlarmName"],
            "arn": alarm["AlarmArn"],
            "dimensions": {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []},
            "okActions": alarm.get("OKActions") or [],
            "tagsAll": tags.as_map(client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"]).get("Tags")),
        }

    def update(self, op: Operation) -> None:
        """Put all of it: a put replaces the alarm and keeps its tags."""
        self._put(op)

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_alarms(AlarmNames=[op.id])

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the alarm's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(ResourceARN=op.outputs["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceARN=op.outputs["arn"], Tags=tags.as_list(change.put))

    def _put(self, op: Operation, **more: Any) -> None:
        given, client = op.inputs, self.client(op)
        request = shapes.request(client, "PutMetricAlarm", given, skip={"dimensions", "tags"})
        dimensions = [{"Name": name, "Value": value} for name, value in (given.get("dimensions") or {}).items()]
        client.put_metric_alarm(**request | {"AlarmName": given["name"], "Dimensions": dimensions} | more)


class Dashboard(Resource):
    """`aws:cloudwatch/dashboard:Dashboard`; the id is the name. It takes no tags."""

    tokens = ("aws:cloudwatch/dashboard:Dashboard",)
    service = "cloudwatch"
    supports = frozenset({"dashboardBody", "dashboardName"})
    replace_on = frozenset({"dashboardName"})
    auto_name = AutoName(property="dashboardName", longest=255)
    gone = ("ResourceNotFound", "DashboardNotFoundError")

    def create(self, op: Operation) -> None:
        """Put it."""
        self._put(op)
        op.made(op.inputs["dashboardName"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Its text."""
        found = self.client(op).get_dashboard(DashboardName=op.id)
        return {
            "dashboardArn": found["DashboardArn"],
            "dashboardBody": found["DashboardBody"],
            "dashboardName": found["DashboardName"],
        }

    def update(self, op: Operation) -> None:
        """Put the new text."""
        self._put(op)

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_dashboards(DashboardNames=[op.id])

    def _put(self, op: Operation) -> None:
        client = self.client(op)
        client.put_dashboard(**shapes.request(client, "PutDashboard", op.inputs))

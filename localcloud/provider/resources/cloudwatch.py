"""Alarms and dashboards of CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes
from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, ListedResource, Resource, names
from localcloud.provider.tags import Tagging


class MetricAlarm(ListedResource):
    """`aws:cloudwatch/metricAlarm:MetricAlarm`; the id is the name. A put replaces the alarm and keeps its tags."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    supports = names("""
        alarmActions alarmDescription comparisonOperator dimensions evaluationPeriods metricName name namespace okActions
        period statistic threshold treatMissingData
    """)
    replace_on = names("name")
    auto_name = AutoName(longest=255)
    defaults: ClassVar[Mapping[str, Any]] = {"treatMissingData": "missing"}
    unordered = names("alarmActions okActions")

    service = "cloudwatch"
    create_by, read_by, update_by, delete_by = "PutMetricAlarm", "DescribeAlarms", "PutMetricAlarm", "DeleteAlarms"
    identity = ("AlarmName",)
    member = "MetricAlarms"
    renamed: ClassVar[Mapping[str, str]] = {"name": "AlarmName", "arn": "AlarmArn", "okActions": "OKActions"}
    updates_all = True
    tagging = Tagging()
    gone = ("ResourceNotFound", "ResourceNotFoundException")

    def search(self, op: Operation) -> dict[str, Any]:
        """Alarms of this name, composite ones apart."""
        return {"AlarmNames": [op.id], "AlarmTypes": ["MetricAlarm"]}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the dimensions as a map."""
        return super().properties(op, found) | {"dimensions": shapes.as_map(found.get("Dimensions") or [])}

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_alarms(AlarmNames=[op.id])


class Dashboard(Resource):
    """`aws:cloudwatch/dashboard:Dashboard`; the id is the name. It takes no tags."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    supports = names("dashboardBody dashboardName")
    replace_on = names("dashboardName")
    auto_name = AutoName(property="dashboardName", longest=255)

    service = "cloudwatch"
    create_by, read_by, update_by = "PutDashboard", "GetDashboard", "PutDashboard"
    identity = ("DashboardName",)
    updates_all = True
    gone = ("ResourceNotFound", "DashboardNotFoundError")

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_dashboards(DashboardNames=[op.id])

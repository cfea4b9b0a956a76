"""Schedules of EventBridge Scheduler and their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.resource import Resource, names
from localcloud.provider.tags import Tagging


class Schedule(Resource):
    """`aws:scheduler/schedule:Schedule`; the id is `group/name`."""

    tokens = ("aws:scheduler/schedule:Schedule",)
    supports = names("""
        actionAfterCompletion description endDate flexibleTimeWindow groupName kmsKeyArn name scheduleExpression
        scheduleExpressionTimezone startDate state target
    """)
    replace_on = names("groupName name")
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "groupName": "default",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
    }
    kept = names("actionAfterCompletion")

    service = "scheduler"
    create_by, read_by, update_by, delete_by = "CreateSchedule", "GetSchedule", "UpdateSchedule", "DeleteSchedule"
    identity = ("GroupName", "Name")
    updates_all = True
    role_errors = ("ValidationException",)
    role_text = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role"


class ScheduleGroup(Resource):
    """`aws:scheduler/scheduleGroup:ScheduleGroup`; the id is the name. A delete takes its schedules with it."""

    tokens = ("aws:scheduler/scheduleGroup:ScheduleGroup",)
    supports = names("name")
    replace_on = supports
    auto_name = AutoName(longest=64)

    service = "scheduler"
    create_by, read_by, delete_by = "CreateScheduleGroup", "GetScheduleGroup", "DeleteScheduleGroup"
    identity = ("Name",)
    tagging = Tagging()

    status_in = "State"
    deleting = ("DELETING", "ACTIVE")
    title = "EventBridge Scheduler Schedule Group"
    limit = 300

"""Schedules of EventBridge Scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.resource import AutoName, Resource, names


class Schedule(Resource):
    """`aws:scheduler/schedule:Schedule`; the id is `group/name`, and the group is always the default one."""

    token = "aws:scheduler/schedule:Schedule"
    supports = names("""
        description flexibleTimeWindow name scheduleExpression scheduleExpressionTimezone state target
    """)
    replace_on = names("name")
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "groupName": "default",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
    }

    service = "scheduler"
    create_by, read_by, update_by, delete_by = "CreateSchedule", "GetSchedule", "UpdateSchedule", "DeleteSchedule"
    identity = ("GroupName", "Name")
    updates_all = True
    role_errors = ("ValidationException",)
    role_text = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role"

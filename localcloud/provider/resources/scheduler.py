"""Schedules of EventBridge Scheduler and their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes, tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource


class Schedule(Resource):
    """`aws:scheduler/schedule:Schedule`; the id is `group/name`."""

    tokens = ("aws:scheduler/schedule:Schedule",)
    service = "scheduler"
    supports = frozenset(
        {
            "actionAfterCompletion",
            "description",
            "endDate",
            "flexibleTimeWindow",
            "groupName",
            "kmsKeyArn",
            "name",
            "scheduleExpression",
            "scheduleExpressionTimezone",
            "startDate",
            "state",
            "target",
        }
    )
    replace_on = frozenset({"groupName", "name"})
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "groupName": "default",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
    }
    kept = frozenset({"actionAfterCompletion"})

    def create(self, op: Operation) -> None:
        """Create it, again while a new role is not known yet."""
        client = self.client(op)
        request = shapes.request(client, "CreateSchedule", op.inputs)
        op.retry(
            lambda: client.create_schedule(**request),
            codes=("ValidationException",),
            text="The execution role you provide must allow AWS EventBridge Scheduler to assume the role",
        )
        op.made(f"{op.inputs['groupName']}/{op.inputs['name']}")

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The schedule."""
        group, name = op.id.split("/", 1)
        client = self.client(op)
        live = shapes.response(client, "GetSchedule", client.get_schedule(GroupName=group, Name=name))
        found = {key: live.get(key) or None for key in sorted(self.supports)}
        target = found.get("target") or {}
        return found | {
            "arn": live["arn"],
            "groupName": group,
            "name": name,
            "target": {key: value for key, value in target.items() if value != {}},
        }

    def update(self, op: Operation) -> None:
        """All of it: an update replaces the schedule."""
        client = self.client(op)
        client.update_schedule(**shapes.request(client, "UpdateSchedule", op.inputs))

    def delete(self, op: Operation) -> None:
        """Delete it."""
        group, name = op.id.split("/", 1)
        self.client(op).delete_schedule(GroupName=group, Name=name)


class ScheduleGroup(Resource):
    """`aws:scheduler/scheduleGroup:ScheduleGroup`; the id is the name."""

    tokens = ("aws:scheduler/scheduleGroup:ScheduleGroup",)
    service = "scheduler"
    supports = frozenset({"name"})
    replace_on = frozenset({"name"})
    auto_name = AutoName(longest=64)
    taggable = True

    def create(self, op: Operation) -> None:
        """Create it."""
        self.client(op).create_schedule_group(Name=op.inputs["name"], Tags=tags.as_list(op.all_tags))
        op.made(op.inputs["name"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The group."""
        client = self.client(op)
        live = shapes.response(client, "GetScheduleGroup", client.get_schedule_group(Name=op.id))
        tagged = client.list_tags_for_resource(ResourceArn=live["arn"]).get("Tags")
        return live | {"tagsAll": tags.as_map(tagged)}

    def delete(self, op: Operation) -> None:
        """Delete it and wait until it is gone, with its schedules."""
        client = self.client(op)
        client.delete_schedule_group(Name=op.id)

        def status() -> str | None:
            try:
                return str(client.get_schedule_group(Name=op.id)["State"])
            except client.exceptions.ResourceNotFoundException:
                return None

        what = f"waiting for EventBridge Scheduler Schedule Group ({op.id}) delete"
        op.wait(status, pending=("DELETING", "ACTIVE"), target=(None,), limit=300, what=what)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the group's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(ResourceArn=op.outputs["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceArn=op.outputs["arn"], Tags=tags.as_list(change.put))

"""Log groups of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import ListedResource, names
from localcloud.provider.tags import Tagging


class LogGroup(ListedResource):
    """`aws:cloudwatch/logGroup:LogGroup`; the id is the name."""

    tokens = ("aws:cloudwatch/logGroup:LogGroup",)
    supports = names("kmsKeyId logGroupClass name retentionInDays skipDestroy")
    replace_on = names("name logGroupClass")
    auto_name = AutoName(longest=512)
    defaults: ClassVar[Mapping[str, Any]] = {"retentionInDays": 0, "skipDestroy": False}
    kept = names("logGroupClass")

    service = "logs"
    create_by, read_by, delete_by = "CreateLogGroup", "DescribeLogGroups", "DeleteLogGroup"
    identity = ("logGroupName",)
    member = "logGroups"
    renamed: ClassVar[Mapping[str, str]] = {"name": "logGroupName"}
    tagging = Tagging()

    def create(self, op: Operation) -> None:
        """The group, then its retention."""
        super().create(op)
        if op.inputs["retentionInDays"]:
            self._put_retention(op)

    def search(self, op: Operation) -> dict[str, Any]:
        """Groups whose names begin with this one."""
        return {"logGroupNamePrefix": op.id}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the ARN as the tag operations want it."""
        return super().properties(op, found) | {"arn": found["arn"].removesuffix(":*")}

    def update(self, op: Operation) -> None:
        """Retention and key."""
        if op.has_changed("retentionInDays"):
            self._put_retention(op)
        if op.has_changed("kmsKeyId"):
            key, client = op.inputs.get("kmsKeyId"), self.client(op)
            if key:
                client.associate_kms_key(logGroupName=op.id, kmsKeyId=key)
            else:
                client.disassociate_kms_key(logGroupName=op.id)

    def delete(self, op: Operation) -> None:
        """Delete it, unless the program keeps it."""
        if not op.outputs.get("skipDestroy"):
            super().delete(op)

    def _put_retention(self, op: Operation) -> None:
        days, client = op.inputs["retentionInDays"], self.client(op)
        if days:
            client.put_retention_policy(logGroupName=op.id, retentionInDays=days)
        else:
            client.delete_retention_policy(logGroupName=op.id)

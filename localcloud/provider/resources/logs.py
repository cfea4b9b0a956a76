"""Log groups of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, ListedResource, Setting, names
from localcloud.provider.tags import Tagging


class LogGroup(ListedResource):
    """`aws:cloudwatch/logGroup:LogGroup`; the id is the name."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    supports = names("name retentionInDays")
    replace_on = names("name")
    auto_name = AutoName(longest=512)
    defaults: ClassVar[Mapping[str, Any]] = {"retentionInDays": 0}

    service = "logs"
    create_by, read_by, delete_by = "CreateLogGroup", "DescribeLogGroups", "DeleteLogGroup"
    identity = ("logGroupName",)
    member = "logGroups"
    renamed: ClassVar[Mapping[str, str]] = {"name": "logGroupName"}
    settings = (Setting("retentionInDays", "PutRetentionPolicy", "DeleteRetentionPolicy", after_create=True),)
    tagging = Tagging()

    def search(self, op: Operation) -> dict[str, Any]:
        """Groups whose names begin with this one."""
        return {"logGroupNamePrefix": op.id}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the ARN as the tag operations want it."""
        return super().properties(op, found) | {"arn": found["arn"].removesuffix(":*")}

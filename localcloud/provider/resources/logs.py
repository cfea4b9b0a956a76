"""Log groups of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource


class LogGroup(Resource):
    """`aws:cloudwatch/logGroup:LogGroup`; the id is the name."""

    tokens = ("aws:cloudwatch/logGroup:LogGroup",)
    service = "logs"
    supports = frozenset({"kmsKeyId", "logGroupClass", "name", "retentionInDays", "skipDestroy"})
    replace_on = frozenset({"name", "logGroupClass"})
    auto_name = AutoName(longest=512)
    defaults: ClassVar[Mapping[str, Any]] = {"retentionInDays": 0, "skipDestroy": False}
    kept = frozenset({"logGroupClass"})
    taggable = True

    def create(self, op: Operation) -> None:
        """The group, then its retention."""
        given, client = op.inputs, self.client(op)
        request = {"logGroupName": given["name"], "tags": op.all_tags}
        request |= {key: given[key] for key in ("kmsKeyId", "logGroupClass") if given.get(key)}
        client.create_log_group(**request)
        op.made(given["name"])
        if given["retentionInDays"]:
            client.put_retention_policy(logGroupName=op.id, retentionInDays=given["retentionInDays"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Found by its name as a prefix, the only way there is."""
        client = self.client(op)
        for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=op.id):
            for group in page["logGroups"]:
                if group["logGroupName"] == op.id:
                    arn = group["arn"].removesuffix(":*")
                    return {
                        "name": op.id,
                        "arn": arn,
                        "retentionInDays": group.get("retentionInDays", 0),
                        "kmsKeyId": group.get("kmsKeyId"),
                        "tagsAll": client.list_tags_for_resource(resourceArn=arn).get("tags") or {},
                    }
        return None

    def update(self, op: Operation) -> None:
        """Retention and key."""
        given, client = op.inputs, self.client(op)
        if op.has_changed("retentionInDays"):
            if given["retentionInDays"]:
                client.put_retention_policy(logGroupName=op.id, retentionInDays=given["retentionInDays"])
            else:
                client.delete_retention_policy(logGroupName=op.id)
        if op.has_changed("kmsKeyId"):
            if given.get("kmsKeyId"):
                client.associate_kms_key(logGroupName=op.id, kmsKeyId=given["kmsKeyId"])
            else:
                client.disassociate_kms_key(logGroupName=op.id)

    def delete(self, op: Operation) -> None:
        """Delete it, unless the program keeps it."""
        if not op.outputs.get("skipDestroy"):
            self.client(op).delete_log_group(logGroupName=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the group's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(resourceArn=op.outputs["arn"], tagKeys=change.remove)
        if change.put:
            client.tag_resource(resourceArn=op.outputs["arn"], tags=change.put)

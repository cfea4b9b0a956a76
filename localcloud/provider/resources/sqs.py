"""Queues of SQS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, names
from localcloud.provider.resources.attributes import ResourceWithAttributes
from localcloud.provider.tags import Tagging


class Queue(ResourceWithAttributes):
    """`aws:sqs/queue:Queue`; the id is the URL."""

    token = "aws:sqs/queue:Queue"
    attributes: ClassVar[Mapping[str, str]] = {
        "delaySeconds": "DelaySeconds",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
        "redrivePolicy": "RedrivePolicy",
        "sqsManagedSseEnabled": "SqsManagedSseEnabled",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
    }
    computed: ClassVar[Mapping[str, str]] = {"arn": "QueueArn"}
    supports = frozenset({*attributes, "name"})
    replace_on = names("name")
    auto_name = AutoName(longest=75)
    defaults: ClassVar[Mapping[str, Any]] = {
        "delaySeconds": 0,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }
    kept = names("redrivePolicy sqsManagedSseEnabled")

    service = "sqs"
    create_by, read_by, delete_by = "CreateQueue", "GetQueueAttributes", "DeleteQueue"
    identity = ("QueueUrl",)
    renamed: ClassVar[Mapping[str, str]] = {"name": "QueueName"}
    tagging = Tagging(by="url", put_by="TagQueue", remove_by="UntagQueue", list_by="ListQueueTags")
    gone = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

    def find(self, op: Operation) -> Mapping[str, Any] | None:
        """All attributes."""
        answer = self.client(op).get_queue_attributes(QueueUrl=op.id, AttributeNames=["All"])
        return dict(answer["Attributes"])

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the name, which is in the ARN."""
        return super().properties(op, found) | {"name": found["QueueArn"].rsplit(":", 1)[-1], "url": op.id}

    def update(self, op: Operation) -> None:
        """What changed; an attribute that was taken out of the program is an empty text."""
        roots = {change.root for change in op.changed} & self.attributes.keys()
        texts = self.texts({name: op.inputs.get(name, "") for name in roots})
        self.client(op).set_queue_attributes(QueueUrl=op.id, Attributes=texts)

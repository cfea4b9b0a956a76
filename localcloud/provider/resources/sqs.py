"""Queues of SQS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import names
from localcloud.provider.resources.attributes import ResourceWithAttributes
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging


class Queue(ResourceWithAttributes):
    """`aws:sqs/queue:Queue`; the id is the URL."""

    tokens = ("aws:sqs/queue:Queue",)
    attributes: ClassVar[Mapping[str, str]] = {
        "contentBasedDeduplication": "ContentBasedDeduplication",
        "delaySeconds": "DelaySeconds",
        "fifoQueue": "FifoQueue",
        "kmsMasterKeyId": "KmsMasterKeyId",
        "maxMessageSize": "MaximumMessageSize",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "policy": "Policy",
        "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
        "redrivePolicy": "RedrivePolicy",
        "sqsManagedSseEnabled": "SqsManagedSseEnabled",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
    }
    computed: ClassVar[Mapping[str, str]] = {"arn": "QueueArn"}
    supports = frozenset({*attributes, "name"})
    replace_on = names("name fifoQueue")
    auto_name = AutoName(longest=75)
    defaults: ClassVar[Mapping[str, Any]] = {
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }
    kept = names("maxMessageSize policy redrivePolicy sqsManagedSseEnabled")

    service = "sqs"
    create_by, read_by, delete_by = "CreateQueue", "GetQueueAttributes", "DeleteQueue"
    identity = ("QueueUrl",)
    renamed: ClassVar[Mapping[str, str]] = {"name": "QueueName"}
    tagging = Tagging(by="url", put_by="TagQueue", remove_by="UntagQueue", list_by="ListQueueTags")
    gone = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """The name of a first-in-first-out queue has to end in `.fifo`."""
        if inputs["fifoQueue"] is True and "__defaults" in inputs and not inputs["name"].endswith(".fifo"):
            inputs["name"] += ".fifo"
        return []

    def find(self, op: Operation) -> Mapping[str, Any] | None:
        """All attributes."""
        answer = self.client(op).get_queue_attributes(QueueUrl=op.id, AttributeNames=["All"])
        return dict(answer["Attributes"])

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the name, which is in the ARN."""
        return super().properties(op, found) | {"name": found["QueueArn"].rsplit(":", 1)[-1], "url": op.id}

    def update(self, op: Operation) -> None:
        """What changed."""
        self.client(op).set_queue_attributes(QueueUrl=op.id, Attributes=self.changed_texts(op))

    def texts(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Without two attributes that SQS refuses on an ordinary queue, whatever their value."""
        off = {name for name in ("fifoQueue", "contentBasedDeduplication") if not given.get(name)}
        return super().texts({name: value for name, value in given.items() if name not in off})

"""Queues of SQS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure

_ATTRIBUTES = {
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
_SWITCHES = ("contentBasedDeduplication", "fifoQueue", "sqsManagedSseEnabled")
_TEXTS = ("kmsMasterKeyId", "policy", "redrivePolicy")


class Queue(Resource):
    """`aws:sqs/queue:Queue`; the id is the URL."""

    tokens = ("aws:sqs/queue:Queue",)
    service = "sqs"
    supports = frozenset({*_ATTRIBUTES, "name"})
    replace_on = frozenset({"name", "fifoQueue"})
    auto_name = AutoName(longest=75)
    defaults: ClassVar[Mapping[str, Any]] = {
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }
    kept = frozenset({"maxMessageSize", "policy", "redrivePolicy", "sqsManagedSseEnabled"})
    taggable = True
    gone = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """A queue in order is named so."""
        if inputs["fifoQueue"] is True and "__defaults" in inputs and not inputs["name"].endswith(".fifo"):
            inputs["name"] += ".fifo"
        return []

    def create(self, op: Operation) -> None:
        """Create it."""
        client = self.client(op)
        answer = client.create_queue(QueueName=op.inputs["name"], Attributes=_attributes(op.inputs), tags=op.all_tags)
        op.made(answer["QueueUrl"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The queue's attributes."""
        client = self.client(op)
        found = client.get_queue_attributes(QueueUrl=op.id, AttributeNames=["All"])["Attributes"]
        live: dict[str, Any] = {}
        for name, attribute in _ATTRIBUTES.items():
            value = found.get(attribute)
            if name in _SWITCHES:
                live[name] = str(value).lower() == "true"
            elif value is not None:
                live[name] = value if name in _TEXTS else int(value)
        return live | {
            "arn": found["QueueArn"],
            "name": found["QueueArn"].rsplit(":", 1)[-1],
            "url": op.id,
            "tagsAll": client.list_queue_tags(QueueUrl=op.id).get("Tags") or {},
        }

    def update(self, op: Operation) -> None:
        """What changed."""
        roots = {change.root for change in op.changed}
        attributes = _attributes({key: op.inputs.get(key, "") for key in roots & _ATTRIBUTES.keys()})
        self.client(op).set_queue_attributes(QueueUrl=op.id, Attributes=attributes)

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_queue(QueueUrl=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the queue's URL."""
        client = self.client(op)
        if change.remove:
            client.untag_queue(QueueUrl=op.id, TagKeys=change.remove)
        if change.put:
            client.tag_queue(QueueUrl=op.id, Tags=change.put)


def _attributes(given: Mapping[str, Any]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for name, attribute in _ATTRIBUTES.items():
        # SQS refuses these two on an ordinary queue, whatever their value.
        if name not in given or (name in ("fifoQueue", "contentBasedDeduplication") and not given[name]):
            continue
        value = given[name]
        wanted[attribute] = str(value).lower() if isinstance(value, bool) else str(value)
    return wanted

"""Topics of SNS and their subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import names
from localcloud.provider.resources.attributes import ResourceWithAttributes
from localcloud.provider.tags import Tagging


class _SnsResource(ResourceWithAttributes):
    """SNS changes one attribute at a time."""

    service = "sns"
    gone = ("NotFound", "NotFoundException")

    def update(self, op: Operation) -> None:
        """One call for each attribute that changed."""
        for name, value in self.changed_texts(op).items():
            self.call(op, self.update_by, **self.key(op), AttributeName=name, AttributeValue=value)


class Topic(_SnsResource):
    """`aws:sns/topic:Topic`; the id is the ARN."""

    tokens = ("aws:sns/topic:Topic",)
    attributes: ClassVar[Mapping[str, str]] = {
        "displayName": "DisplayName",
        "kmsMasterKeyId": "KmsMasterKeyId",
        "policy": "Policy",
    }
    computed: ClassVar[Mapping[str, str]] = {"arn": "TopicArn", "owner": "Owner"}
    supports = frozenset({*attributes, "name"})
    replace_on = names("name")
    auto_name = AutoName(longest=256)
    kept = names("policy")

    create_by, read_by = "CreateTopic", "GetTopicAttributes"
    update_by, delete_by = "SetTopicAttributes", "DeleteTopic"
    identity = ("TopicArn",)
    empty: ClassVar[Mapping[str, Any]] = dict.fromkeys(attributes, "")
    tagging = Tagging()

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the name, which is in the ARN."""
        return super().properties(op, found) | {"name": op.id.rsplit(":", 1)[-1]}


class TopicSubscription(_SnsResource):
    """`aws:sns/topicSubscription:TopicSubscription`; the id is the ARN. It takes no tags.

    A subscription that has to be confirmed may be confirmed later.
    """

    tokens = ("aws:sns/topicSubscription:TopicSubscription",)
    attributes: ClassVar[Mapping[str, str]] = {
        "filterPolicy": "FilterPolicy",
        "rawMessageDelivery": "RawMessageDelivery",
    }
    computed: ClassVar[Mapping[str, str]] = {
        "arn": "SubscriptionArn",
        "endpoint": "Endpoint",
        "ownerId": "Owner",
        "pendingConfirmation": "PendingConfirmation",
        "protocol": "Protocol",
        "topic": "TopicArn",
    }
    supports = frozenset({*attributes, "endpoint", "protocol", "topic"})
    replace_on = names("endpoint protocol topic")
    defaults: ClassVar[Mapping[str, Any]] = {"rawMessageDelivery": False}

    create_by, read_by = "Subscribe", "GetSubscriptionAttributes"
    update_by, delete_by = "SetSubscriptionAttributes", "Unsubscribe"
    identity = ("SubscriptionArn",)
    renamed: ClassVar[Mapping[str, str]] = {"topic": "TopicArn"}
    empty: ClassVar[Mapping[str, Any]] = {"filterPolicy": ""}

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for the ARN also of a subscription that is not confirmed yet."""
        return super().request(op, operation, properties) | {"ReturnSubscriptionArn": True}

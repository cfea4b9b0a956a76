"""Topics of SNS and their subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, names
from localcloud.provider.resources.attributes import ResourceWithAttributes
from localcloud.provider.tags import Tagging

_GONE = ("NotFound", "NotFoundException")


class Topic(ResourceWithAttributes):
    """`aws:sns/topic:Topic`; the id is the ARN."""

    token = "aws:sns/topic:Topic"
    computed: ClassVar[Mapping[str, str]] = {"arn": "TopicArn", "owner": "Owner"}
    supports = names("name")
    replace_on = supports
    auto_name = AutoName(longest=256)

    service = "sns"
    create_by, read_by, delete_by = "CreateTopic", "GetTopicAttributes", "DeleteTopic"
    identity = ("TopicArn",)
    tagging = Tagging()
    gone = _GONE

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the name, which is in the ARN."""
        return super().properties(op, found) | {"name": op.id.rsplit(":", 1)[-1]}


class TopicSubscription(ResourceWithAttributes):
    """`aws:sns/topicSubscription:TopicSubscription`; the id is the ARN. It takes no tags.

    A subscription that has to be confirmed may be confirmed later.
    """

    token = "aws:sns/topicSubscription:TopicSubscription"
    computed: ClassVar[Mapping[str, str]] = {
        "arn": "SubscriptionArn",
        "endpoint": "Endpoint",
        "ownerId": "Owner",
        "pendingConfirmation": "PendingConfirmation",
        "protocol": "Protocol",
        "topic": "TopicArn",
    }
    supports = names("endpoint protocol topic")
    replace_on = supports

    service = "sns"
    create_by, read_by, delete_by = "Subscribe", "GetSubscriptionAttributes", "Unsubscribe"
    identity = ("SubscriptionArn",)
    renamed: ClassVar[Mapping[str, str]] = {"topic": "TopicArn"}
    gone = _GONE

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for the ARN also of a subscription that is not confirmed yet."""
        return super().request(op, operation, properties) | {"ReturnSubscriptionArn": True}

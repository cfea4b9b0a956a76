"""Topics of SNS and who is subscribed to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource

_GONE = ("NotFound", "NotFoundException")
_TOPIC = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}
_SUBSCRIPTION = {"filterPolicy": "FilterPolicy", "rawMessageDelivery": "RawMessageDelivery"}


class Topic(Resource):
    """`aws:sns/topic:Topic`; the id is the ARN."""

    tokens = ("aws:sns/topic:Topic",)
    service = "sns"
    supports = frozenset({*_TOPIC, "name"})
    replace_on = frozenset({"name"})
    auto_name = AutoName(longest=256)
    kept = frozenset({"policy"})
    taggable = True
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Create it."""
        given = op.inputs
        answer = self.client(op).create_topic(
            Name=given["name"], Attributes=_attributes(given, _TOPIC), Tags=tags.as_list(op.all_tags)
        )
        op.made(answer["TopicArn"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The topic's attributes."""
        client = self.client(op)
        found = client.get_topic_attributes(TopicArn=op.id)["Attributes"]
        return {name: found.get(attribute, "") for name, attribute in _TOPIC.items()} | {
            "arn": op.id,
            "name": op.id.rsplit(":", 1)[-1],
            "owner": found.get("Owner", ""),
            "tagsAll": tags.as_map(client.list_tags_for_resource(ResourceArn=op.id).get("Tags")),
        }

    def update(self, op: Operation) -> None:
        """One call for each attribute that changed; one that was taken out is emptied."""
        for name in sorted({change.root for change in op.changed} & _TOPIC.keys()):
            value = op.inputs.get(name, "")
            self.client(op).set_topic_attributes(TopicArn=op.id, AttributeName=_TOPIC[name], AttributeValue=value)

    def delete(self, op: Operation) -> None:
        """Delete it, with its subscriptions."""
        self.client(op).delete_topic(TopicArn=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the topic's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(ResourceArn=op.id, TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceArn=op.id, Tags=tags.as_list(change.put))


class TopicSubscription(Resource):
    """`aws:sns/topicSubscription:TopicSubscription`; the id is the ARN. It takes no tags."""

    tokens = ("aws:sns/topicSubscription:TopicSubscription",)
    service = "sns"
    supports = frozenset({*_SUBSCRIPTION, "endpoint", "protocol", "topic"})
    replace_on = frozenset({"endpoint", "protocol", "topic"})
    defaults: ClassVar[Mapping[str, Any]] = {"rawMessageDelivery": False}
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Subscribe; whoever has to confirm it may do so later."""
        given = op.inputs
        answer = self.client(op).subscribe(
            TopicArn=given["topic"],
            Protocol=given["protocol"],
            Endpoint=given["endpoint"],
            Attributes=_attributes(given, _SUBSCRIPTION),
            ReturnSubscriptionArn=True,
        )
        op.made(answer["SubscriptionArn"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The subscription's attributes."""
        found = self.client(op).get_subscription_attributes(SubscriptionArn=op.id)["Attributes"]
        return {
            "arn": op.id,
            "topic": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "ownerId": found["Owner"],
            "pendingConfirmation": found["PendingConfirmation"] == "true",
            "rawMessageDelivery": found.get("RawMessageDelivery") == "true",
            "filterPolicy": found.get("FilterPolicy") or "",
        }

    def update(self, op: Operation) -> None:
        """One call for each attribute that changed."""
        roots = {change.root for change in op.changed} & _SUBSCRIPTION.keys()
        for attribute, value in _attributes({name: op.inputs.get(name, "") for name in roots}, _SUBSCRIPTION).items():
            self.client(op).set_subscription_attributes(
                SubscriptionArn=op.id, AttributeName=attribute, AttributeValue=value
            )

    def delete(self, op: Operation) -> None:
        """Unsubscribe."""
        self.client(op).unsubscribe(SubscriptionArn=op.id)


def _attributes(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """As SNS wants them: all of them texts."""
    return {
        attribute: str(given[name]).lower() if isinstance(given[name], bool) else given[name]
        for name, attribute in names.items()
        if name in given
    }

"""Tables of DynamoDB that are paid per request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, Resource, names
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging


class Table(Resource):
    """`aws:dynamodb/table:Table`; the id is the name."""

    token = "aws:dynamodb/table:Table"
    supports = names("""
        attributes billingMode deletionProtectionEnabled globalSecondaryIndexes hashKey name pointInTimeRecovery rangeKey
        serverSideEncryption
    """)
    replace_on = names("name hashKey rangeKey")
    auto_name = AutoName(longest=255)
    defaults: ClassVar[Mapping[str, Any]] = {"billingMode": "PROVISIONED"}
    unordered = names("attributes globalSecondaryIndexes")

    service = "dynamodb"
    create_by, read_by, update_by, delete_by = "CreateTable", "DescribeTable", "UpdateTable", "DeleteTable"
    identity = ("TableName",)
    member = "Table"
    renamed: ClassVar[Mapping[str, str]] = {
        "arn": "TableArn",
        "kmsKeyArn": "KMSMasterKeyId",
        "name": "TableName",
        "serverSideEncryption": "SSESpecification",
    }
    empty: ClassVar[Mapping[str, Any]] = {
        "deletionProtectionEnabled": False,
        "serverSideEncryption": {"enabled": False},
    }
    tagging = Tagging(list_by="ListTagsOfResource")

    status_in = "TableStatus"
    pending, ready = ("CREATING", "UPDATING"), ("ACTIVE",)
    deleting = ("ACTIVE", "DELETING")
    title = "DynamoDB Table"

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Only tables paid per request are served, and only indexes that name their keys by `keySchemas`."""
        failures = []
        if inputs["billingMode"] != "PAY_PER_REQUEST":
            failures.append(Failure("billingMode", "only PAY_PER_REQUEST is carried out by the stand-in provider"))
        if any("hashKey" in index for index in _indexes(inputs)):
            failures.append(Failure("globalSecondaryIndexes", "the stand-in provider wants keySchemas, not hashKey"))
        return failures

    def create(self, op: Operation) -> None:
        """Create it, wait until it is active, then set what can only be set on an active table."""
        super().create(op)
        self._put_recovery(op)

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Of a new table also its keys and indexes."""
        plain = {name: value for name, value in properties.items() if name != "globalSecondaryIndexes"}
        request = super().request(op, operation, plain)
        if operation == self.create_by:
            keys = {"HASH": op.inputs["hashKey"], "RANGE": op.inputs.get("rangeKey")}
            request |= {
                "AttributeDefinitions": _attributes(op.inputs),
                "KeySchema": [{"AttributeName": name, "KeyType": kind} for kind, name in keys.items() if name],
            }
            if indexes := _indexes(op.inputs):
                request["GlobalSecondaryIndexes"] = [_index(item) for item in indexes]
        return request

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With what DynamoDB has in other shapes, and the recovery setting, which has a question of its own."""
        keys = {key["KeyType"]: key["AttributeName"] for key in found["KeySchema"]}
        recovery = self.client(op).describe_continuous_backups(TableName=op.id)["ContinuousBackupsDescription"]
        point = recovery.get("PointInTimeRecoveryDescription", {})
        return super().properties(op, found) | {
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "attributes": [
                {"name": item["AttributeName"], "type": item["AttributeType"]} for item in found["AttributeDefinitions"]
            ],
            "billingMode": (found.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED"),
            "globalSecondaryIndexes": [_live_index(item) for item in found.get("GlobalSecondaryIndexes") or []],
            "serverSideEncryption": _live_encryption(found.get("SSEDescription") or {}),
            "pointInTimeRecovery": {"enabled": point.get("PointInTimeRecoveryStatus") == "ENABLED"},
        }

    def update(self, op: Operation) -> None:
        """Switches in one call, then indexes one by one, as DynamoDB allows one at a time."""
        super().update(op)
        if op.has_changed("globalSecondaryIndexes"):
            self._change_indexes(op)
        if op.has_changed("pointInTimeRecovery"):
            self._put_recovery(op)

    def status_of(self, op: Operation, found: Mapping[str, Any]) -> str:
        """The table's status; UPDATING also while one of its indexes is not active."""
        indexes = {item.get("IndexStatus", "ACTIVE") for item in found.get("GlobalSecondaryIndexes") or []}
        status = super().status_of(op, found)
        return status if status != "ACTIVE" or indexes <= {"ACTIVE"} else "UPDATING"

    def _change_indexes(self, op: Operation) -> None:
        old, new = ({item["name"]: _index(item) for item in _indexes(given)} for given in (op.outputs, op.inputs))
        deletes = [{"Delete": {"IndexName": name}} for name in sorted(old) if new.get(name) != old[name]]
        creates = [{"Create": new[name]} for name in sorted(new) if new[name] != old.get(name)]
        for change in deletes + creates:
            self.client(op).update_table(
                TableName=op.id, AttributeDefinitions=_attributes(op.inputs), GlobalSecondaryIndexUpdates=[change]
            )
            self.wait(op, "update")

    def _put_recovery(self, op: Operation) -> None:
        recovery = op.inputs.get("pointInTimeRecovery") or {}
        if recovery.get("enabled") or (op.outputs.get("pointInTimeRecovery") or {}).get("enabled"):
            self.client(op).update_continuous_backups(
                TableName=op.id,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": bool(recovery.get("enabled"))},
            )


def _attributes(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"AttributeName": item["name"], "AttributeType": item["type"]} for item in given.get("attributes") or []]


def _indexes(given: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return given.get("globalSecondaryIndexes") or []


def _index(item: Mapping[str, Any]) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": item["projectionType"]}
    if item.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = sorted(item["nonKeyAttributes"])
    keys = [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in item["keySchemas"]]
    return {"IndexName": item["name"], "KeySchema": keys, "Projection": projection}


def _live_index(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": item["IndexName"],
        "keySchemas": [{"attributeName": key["AttributeName"], "keyType": key["KeyType"]} for key in item["KeySchema"]],
        "projectionType": item["Projection"]["ProjectionType"],
        "nonKeyAttributes": item["Projection"].get("NonKeyAttributes"),
    }


def _live_encryption(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """With a key of the account's, as far as a program can have asked for one; None for DynamoDB's own."""
    if found.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
        return None
    return {"enabled": True, "kmsKeyArn": found.get("KMSMasterKeyArn", "")}

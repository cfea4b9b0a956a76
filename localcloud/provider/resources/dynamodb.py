"""Tables of DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource, names
from localcloud.provider.tags import Tagging


class Table(Resource):
    """`aws:dynamodb/table:Table`; the id is the name."""

    tokens = ("aws:dynamodb/table:Table",)
    supports = names("""
        attributes billingMode deletionProtectionEnabled globalSecondaryIndexes hashKey localSecondaryIndexes name
        pointInTimeRecovery rangeKey readCapacity serverSideEncryption streamEnabled streamViewType tableClass ttl
        writeCapacity
    """)
    replace_on = names("name hashKey rangeKey localSecondaryIndexes")
    auto_name = AutoName(longest=255)
    defaults: ClassVar[Mapping[str, Any]] = {"billingMode": "PROVISIONED"}
    unordered = names("attributes globalSecondaryIndexes localSecondaryIndexes")
    kept = names("readCapacity writeCapacity streamViewType")

    service = "dynamodb"
    create_by, read_by, update_by, delete_by = "CreateTable", "DescribeTable", "UpdateTable", "DeleteTable"
    identity = ("TableName",)
    member = "Table"
    renamed: ClassVar[Mapping[str, str]] = {"name": "TableName"}
    empty: ClassVar[Mapping[str, Any]] = {
        "deletionProtectionEnabled": False,
        "serverSideEncryption": {"enabled": False},
        "streamEnabled": False,
    }
    tagging = Tagging(list_by="ListTagsOfResource")

    status_in = "TableStatus"
    pending, ready = ("CREATING", "UPDATING"), ("ACTIVE",)
    deleting = ("ACTIVE", "DELETING")
    title = "DynamoDB Table"

    def create(self, op: Operation) -> None:
        """Create it, wait until it is active, then set what can only be set on an active table."""
        super().create(op)
        self._put_ttl(op)
        self._put_recovery(op)

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Settings in DynamoDB's terms; of a new table also its keys and indexes."""
        given = op.inputs
        plain = names("name deletionProtectionEnabled tableClass tags") & properties.keys()
        request = super().request(op, operation, {name: properties[name] for name in plain})
        if names("billingMode readCapacity writeCapacity") & properties.keys():
            request["BillingMode"] = given["billingMode"]
            if given["billingMode"] == "PROVISIONED":
                request["ProvisionedThroughput"] = _throughput(given)
        if names("streamEnabled streamViewType") & properties.keys():
            request["StreamSpecification"] = _stream(given)
        if "serverSideEncryption" in properties:
            request["SSESpecification"] = _encryption(given)
        if operation == self.create_by:
            request |= {"AttributeDefinitions": _attributes(given), "KeySchema": _keys(given)}
            if indexes := given.get("globalSecondaryIndexes"):
                request["GlobalSecondaryIndexes"] = [_global_index(item, given) for item in indexes]
            if indexes := given.get("localSecondaryIndexes"):
                request["LocalSecondaryIndexes"] = [_index({"hashKey": given["hashKey"], **item}) for item in indexes]
        return request

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """The table, its time to live and its recovery setting."""
        client, table = self.client(op), found
        keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        ttl = client.describe_time_to_live(TableName=op.id)["TimeToLiveDescription"]
        recovery = client.describe_continuous_backups(TableName=op.id)["ContinuousBackupsDescription"]
        point = recovery.get("PointInTimeRecoveryDescription", {})
        stream = table.get("StreamSpecification") or {}
        capacity = table.get("ProvisionedThroughput") or {}
        return {
            "name": table["TableName"],
            "arn": table["TableArn"],
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "attributes": [
                {"name": item["AttributeName"], "type": item["AttributeType"]} for item in table["AttributeDefinitions"]
            ],
            "billingMode": (table.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED"),
            "readCapacity": capacity.get("ReadCapacityUnits", 0),
            "writeCapacity": capacity.get("WriteCapacityUnits", 0),
            "globalSecondaryIndexes": [
                _live_index(item, op.inputs.get("globalSecondaryIndexes") or [])
                for item in table.get("GlobalSecondaryIndexes") or []
            ],
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "streamEnabled": stream.get("StreamEnabled", False),
            "streamArn": table.get("LatestStreamArn", ""),
            "streamLabel": table.get("LatestStreamLabel", ""),
            "ttl": {
                "enabled": ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"),
                "attributeName": ttl.get("AttributeName", ""),
            },
            "serverSideEncryption": _live_encryption(table.get("SSEDescription") or {}),
            "pointInTimeRecovery": {"enabled": point.get("PointInTimeRecoveryStatus") == "ENABLED"},
        }

    def update(self, op: Operation) -> None:
        """Capacity and switches in one call, then indexes one by one, as DynamoDB allows one at a time."""
        super().update(op)
        if op.has_changed("globalSecondaryIndexes"):
            self._change_indexes(op)
        if op.has_changed("ttl"):
            self._put_ttl(op)
        if op.has_changed("pointInTimeRecovery"):
            self._put_recovery(op)

    def status_of(self, op: Operation, found: Mapping[str, Any]) -> str:
        """The table's status; UPDATING also while one of its indexes is not active."""
        indexes = {item.get("IndexStatus", "ACTIVE") for item in found.get("GlobalSecondaryIndexes") or []}
        status = super().status_of(op, found)
        return status if status != "ACTIVE" or indexes <= {"ACTIVE"} else "UPDATING"

    def _change_indexes(self, op: Operation) -> None:
        old = {item["name"]: item for item in op.outputs.get("globalSecondaryIndexes") or []}
        new = {item["name"]: item for item in op.inputs.get("globalSecondaryIndexes") or []}
        renewed = {name for name in old.keys() & new.keys() if _index(old[name]) != _index(new[name])}
        deletes = [{"Delete": {"IndexName": name}} for name in sorted((old.keys() - new.keys()) | renewed)]
        creates = [
            {"Create": _global_index(new[name], op.inputs)} for name in sorted((new.keys() - old.keys()) | renewed)
        ]
        for change in deletes + creates:
            self.client(op).update_table(
                TableName=op.id, AttributeDefinitions=_attributes(op.inputs), GlobalSecondaryIndexUpdates=[change]
            )
            self.wait(op, "update")

    def _put_ttl(self, op: Operation) -> None:
        ttl, old = op.inputs.get("ttl") or {}, op.outputs.get("ttl") or {}
        if not ttl.get("enabled") and not old.get("enabled"):
            return
        name = ttl.get("attributeName") or old.get("attributeName")
        wanted = {"AttributeName": name, "Enabled": bool(ttl.get("enabled"))}
        self.client(op).update_time_to_live(TableName=op.id, TimeToLiveSpecification=wanted)

    def _put_recovery(self, op: Operation) -> None:
        recovery = op.inputs.get("pointInTimeRecovery") or {}
        if recovery.get("enabled") or (op.outputs.get("pointInTimeRecovery") or {}).get("enabled"):
            self.client(op).update_continuous_backups(
                TableName=op.id,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": bool(recovery.get("enabled"))},
            )


def _attributes(given: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"AttributeName": item["name"], "AttributeType": item["type"]} for item in given.get("attributes") or []]


def _keys(item: Mapping[str, Any]) -> list[dict[str, str]]:
    if item.get("keySchemas"):
        return [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in item["keySchemas"]]
    kinds = {"hashKey": "HASH", "rangeKey": "RANGE"}
    return [{"AttributeName": item[name], "KeyType": kind} for name, kind in kinds.items() if item.get(name)]


def _throughput(item: Mapping[str, Any]) -> dict[str, int]:
    return {"ReadCapacityUnits": item.get("readCapacity") or 1, "WriteCapacityUnits": item.get("writeCapacity") or 1}


def _index(item: Mapping[str, Any]) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": item["projectionType"]}
    if item.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = sorted(item["nonKeyAttributes"])
    return {"IndexName": item["name"], "KeySchema": _keys(item), "Projection": projection}


def _global_index(item: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    capacity = {"ProvisionedThroughput": _throughput(item)} if table["billingMode"] == "PROVISIONED" else {}
    return _index(item) | capacity


def _live_index(item: Mapping[str, Any], given: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An index as it is, its keys also as `keySchemas` where the program gave them in that form."""
    keys = {key["KeyType"]: key["AttributeName"] for key in item["KeySchema"]}
    live: dict[str, Any] = {
        "name": item["IndexName"],
        "hashKey": keys["HASH"],
        "projectionType": item["Projection"]["ProjectionType"],
    }
    if "RANGE" in keys:
        live["rangeKey"] = keys["RANGE"]
    if item["Projection"].get("NonKeyAttributes"):
        live["nonKeyAttributes"] = item["Projection"]["NonKeyAttributes"]
    if any(index["name"] == item["IndexName"] and index.get("keySchemas") for index in given):
        live["keySchemas"] = [
            {"attributeName": key["AttributeName"], "keyType": key["KeyType"]} for key in item["KeySchema"]
        ]
    return live


def _stream(given: Mapping[str, Any]) -> dict[str, Any]:
    if not given.get("streamEnabled"):
        return {"StreamEnabled": False}
    return {"StreamEnabled": True, "StreamViewType": given.get("streamViewType") or "NEW_AND_OLD_IMAGES"}


def _encryption(given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = given.get("serverSideEncryption") or {"enabled": False}
    encryption = {"Enabled": wanted["enabled"]}
    if wanted.get("kmsKeyArn"):
        encryption |= {"SSEType": "KMS", "KMSMasterKeyId": wanted["kmsKeyArn"]}
    return encryption


def _live_encryption(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """With a key of the account's, as far as a program can have asked for one; None for DynamoDB's own."""
    if found.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
        return None
    return {"enabled": True, "kmsKeyArn": found.get("KMSMasterKeyArn", "")}

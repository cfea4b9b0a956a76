"""The table's items: keys, index keys, and records to and from DynamoDB's types.

The rule: an item's index keys are derived from its record at each write and never read back into a decision.

| item | pk | sk |
|---|---|---|
| record | ENV#<id> | RECORD |
| tombstone of an earlier incarnation | ENV#<id> | TOMBSTONE#<incarnation> |
| event | ENV#<id>#<incarnation> | <time>#<version>#<count>#<random> |
| sweep's plan or report | SWEEP#<id> | REPORT |
| the running sweep | SWEEP | RUNNING |
| what the last deep sweep suspected | SWEEP | SUSPECTS |
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic import TypeAdapter, ValidationError

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Terminal

DUE_SHARDS = 4
"""The index by due_at is spread over so many keys, so that no single one takes every write."""

Item = dict[str, Any]


def record_key(environment_id: str) -> Item:
    return item({"pk": f"ENV#{environment_id}", "sk": "RECORD"})


def record_item(environment: Environment, sk: str = "RECORD") -> Item:
    """The whole item of a record. A tombstone of an earlier incarnation is in no index by due_at."""
    due_at = environment.due_at
    keys = {
        "pk": f"ENV#{environment.id}",
        "sk": sk,
        "version": environment.version,
        "lease_token": environment.lease.token,
        "owner": environment.owner,
        "status": str(environment.status),
        "created_at": timestamp(environment.created_at),
        "status_created": f"{environment.status}#{timestamp(environment.created_at)}",
        "record": _adapter().dump_python(environment, mode="json"),
    }
    if due_at and sk == "RECORD":
        keys |= {"due_shard": due_shard(environment.id), "due_at": timestamp(due_at)}
    return item(keys)


def record_of(raw: Item) -> Environment:
    """The record of an item. Raises Terminal `bad_record` for one that this version can't read."""
    try:
        return _adapter().validate_python(plain(raw)["record"])
    except (KeyError, ValidationError) as error:
        raise Terminal(
            f"The record {raw.get('pk', {}).get('S')} can't be read: another version of the orchestrator may have written it.",
            "bad_record",
        ) from error


def due_shard(environment_id: str) -> str:
    return str(zlib.crc32(environment_id.encode()) % DUE_SHARDS)


def timestamp(moment: datetime) -> str:
    """Fixed width and UTC, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def item(values: Mapping[str, Any]) -> Item:
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in values.items()}


def plain(raw: Item) -> dict[str, Any]:
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in raw.items()}


@cache
def _adapter() -> TypeAdapter[Environment]:
    return TypeAdapter(Environment)

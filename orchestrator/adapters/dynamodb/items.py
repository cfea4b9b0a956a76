"""The table's items: keys, index keys, and records as items.

The client is that of boto3's resource, which converts Python's types to DynamoDB's and back.

The rule: an item's index keys follow from its record at each write, and no decision reads them.

| item | pk | sk |
|---|---|---|
| record | ENV#<id> | RECORD |
| tombstone of an earlier incarnation | ENV#<id> | TOMBSTONE#<incarnation> |
| event | ENV#<id>#<incarnation> | <number>, without gaps |
| plan or report of a sweep | SWEEP#<id> | REPORT |
| the running sweep | SWEEP | RUNNING |
| what the last deep sweep suspected | SWEEP | SUSPECTS |
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.domain.environment import SCHEMA, Environment
from orchestrator.domain.errors import ErrorCode, Terminal

DUE_SHARDS = 4
"""The index by due_at is spread over this many partition keys, so that no single one takes every write."""

Item = dict[str, Any]


def record_key(environment_id: str) -> Item:
    return {"pk": f"ENV#{environment_id}", "sk": "RECORD"}


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
    return keys


def record_of(item: Item) -> Environment:
    """The record of an item. Raises Terminal `bad_record` for one that can't be read, and for one of a newer version.

    That one would be written back without the fields that this version does not know.
    """
    key, record = item.get("pk"), item.get("record", {})
    if (schema := record.get("schema", SCHEMA)) > SCHEMA:
        raise Terminal(
            f"The record {key} was written by a newer version of fibfactory: its schema is {schema}, and this version knows "
            f"{SCHEMA}. Upgrade the platform to that version again; nothing was changed.",
            ErrorCode.BAD_RECORD,
        )
    try:
        return replace(_adapter().validate_python(record), schema=SCHEMA)
    except ValidationError as error:
        raise Terminal(
            f"The record {key} can't be read: another version may have written it. Restore it from a backup.",
            ErrorCode.BAD_RECORD,
        ) from error


def due_shard(environment_id: str) -> str:
    return str(zlib.crc32(environment_id.encode()) % DUE_SHARDS)


def timestamp(moment: datetime) -> str:
    """Fixed width and UTC, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@cache
def _adapter() -> TypeAdapter[Environment]:
    return TypeAdapter(Environment)

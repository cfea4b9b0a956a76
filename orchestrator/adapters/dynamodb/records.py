"""The Records port on DynamoDB: environments and their events.

The rule: every write is conditional on the version that was read (and so on the lease's token, which only a write changes),
and a record and its events are written together or not at all. Events are numbered without gaps: a number is only written after
the one before, whatever the clocks say, so that a follower misses none.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, ParamValidationError
from pydantic import TypeAdapter, ValidationError

from orchestrator.adapters.aws_errors import cancelled_by, error_code, translating
from orchestrator.adapters.dynamodb.items import (
    DUE_SHARDS,
    Item,
    record_item,
    record_key,
    record_of,
    timestamp,
)
from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import BadRequest, ErrorCode, LeaseLost, Terminal, Transient, VersionConflict
from orchestrator.domain.events import Event, EventKind
from orchestrator.ports import Page

logger = Logger(child=True)

_QUERIES_PER_PAGE = 20
"""A filter that matches nearly nothing ends a page early, so that no request reads the whole table; the cursor goes on."""

_BUSY_TRIES = 6

_CONDITION_FAILED = "ConditionalCheckFailed"

_LONGEST_CURSOR = 1000
"""Characters. A sort key has at most 1,024 bytes (DynamoDB's quota)."""

_CURSOR = TypeAdapter(tuple[int, dict[str, str] | None])


class DynamoRecords:
    """The Records port on one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._newest: tuple[str, int] | None = None
        """The key of the events that were written last, and the number of the last of them."""

    def get(self, environment_id: str) -> Environment | None:
        with translating("reading a record"):
            answer = self._client.get_item(TableName=self._table, Key=record_key(environment_id), ConsistentRead=True)
        return record_of(answer["Item"]) if "Item" in answer else None

    def write(self, before: Environment | None, after: Environment, *events: Event) -> None:
        puts = [self._put(record_item(after), **_unchanged(before))]
        if before and before.incarnation != after.incarnation:
            puts.append(self._put(record_item(before, f"TOMBSTONE#{before.incarnation:06d}")))
        self._transact(puts, after, events)

    def note(self, environment: Environment, event: Event) -> None:
        check = {
            "TableName": self._table,
            "Key": record_key(environment.id),
            "ConditionExpression": "lease_token = :token",
            "ExpressionAttributeValues": {":token": environment.lease.token},
        }
        try:
            self._transact([{"ConditionCheck": check}], environment, [event])
        except VersionConflict as error:
            raise LeaseLost(f"Another worker holds the lease of {environment.id}. Nothing was written.") from error

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        names = {"#pk": "pk", "#sk": "sk"}
        values = {":pk": _events_key(environment), ":after": _decoded(cursor) if cursor else "0"}
        with translating("reading events"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="#pk = :pk AND #sk > :after",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                Limit=limit,
                ConsistentRead=True,
            )
        rows = answer["Items"]
        events = [
            Event(datetime.fromisoformat(row["at"]), EventKind(row["kind"]), row["message"], json.loads(row["data"]))
            for row in rows
        ]
        return Page(events, _encoded(rows[-1]["sk"]) if rows else cursor)

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        position, start = _read_cursor(cursor, len(statuses))
        found: dict[tuple[str, int], Environment] = {}
        for _ in range(_QUERIES_PER_PAGE):
            answer = self._listing(owner, statuses[position], start, limit - len(found))
            for environment in _readable(answer["Items"]):
                # A record whose status changes while we read may come twice.
                if labels.items() <= environment.labels.items():
                    found[environment.id, environment.incarnation] = environment
            start = answer.get("LastEvaluatedKey")
            position += start is None
            if len(found) == limit or position == len(statuses):
                break
        return Page(list(found.values()), _write_cursor(position, start) if position < len(statuses) else None)

    def count_active(self, owner: str, most: int) -> int:
        # All statuses but `destroyed`: those that sort before it, and those that sort after it.
        before = self._counts(owner, "status_created < :gone", f"{Status.DESTROYED}#", most)
        after = self._counts(owner, "status_created > :gone", f"{Status.DESTROYED}$", most)
        total = 0
        with translating("counting environments"):
            for count in itertools.chain(before, after):
                total += count
                if total >= most:
                    break
        return min(total, most)

    def due(self, now: datetime) -> Iterable[str]:
        shards = heapq.merge(*(self._due_in(shard, now) for shard in range(DUE_SHARDS)))
        with translating("reading what is due"):
            for _, key in shards:
                yield key.removeprefix("ENV#")

    def _counts(self, owner: str, where: str, gone: str, page_size: int) -> Iterator[int]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by_owner",
            Select="COUNT",
            KeyConditionExpression=f"#owner = :owner AND {where}",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": owner, ":gone": gone},
            PaginationConfig={"PageSize": page_size},
        )
        yield from (page["Count"] for page in pages)

    def _due_in(self, shard: int, now: datetime) -> Iterator[tuple[str, str]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by_due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues={":shard": str(shard), ":now": timestamp(now)},
        )
        for page in pages:
            for row in page["Items"]:
                yield row["due_at"], row["pk"]

    def _listing(self, owner: str | None, status: Status, start: Item | None, limit: int) -> Any:
        by_owner = {
            "IndexName": "by_owner",
            "KeyConditionExpression": "#owner = :owner AND begins_with(status_created, :status)",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": owner, ":status": f"{status}#"},
        }
        by_status = {
            "IndexName": "by_status",
            "KeyConditionExpression": "#status = :status",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": str(status)},
        }
        query = by_owner if owner else by_status
        with translating("listing environments"):
            try:
                return self._client.query(
                    TableName=self._table, Limit=limit, **query, **({"ExclusiveStartKey": start} if start else {})
                )
            except (ClientError, ParamValidationError) as error:
                if start and (isinstance(error, ParamValidationError) or error_code(error) == "ValidationException"):
                    raise _bad_cursor() from error
                raise

    def _put(self, item: Item, **condition: Any) -> Item:
        return {"Put": {"TableName": self._table, "Item": item, **condition}}

    def _event(self, key: str, number: int, event: Event) -> Item:
        row = {
            "pk": key,
            "sk": f"{number:09d}",
            "at": timestamp(event.at),
            "kind": event.kind,
            "message": event.message[:2000],
            "data": json.dumps(dict(event.data)),
        }
        return self._put(row, ConditionExpression="attribute_not_exists(pk)")

    def _number_of_newest(self, key: str) -> int:
        """The number of the newest event, or a smaller one if it was written elsewhere since we wrote; 0 if there is none."""
        if self._newest and self._newest[0] == key:
            return self._newest[1]
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": key},
            ScanIndexForward=False,
            Limit=1,
            ConsistentRead=True,
        )
        return int(answer["Items"][0]["sk"]) if answer["Items"] else 0

    def _transact(self, writes: list[Item], environment: Environment, events: Sequence[Event]) -> None:
        """Write all or nothing, the events after those that there are; the first of the writes has the condition.

        Raises VersionConflict if that does not hold, Transient if the table is busy.
        """
        key = _events_key(environment)
        for attempt in range(_BUSY_TRIES):
            with translating("writing a record"):
                number = self._number_of_newest(key) if events else 0
                numbered = [self._event(key, number + each, event) for each, event in enumerate(events, 1)]
                try:
                    self._client.transact_write_items(TransactItems=[*writes, *numbered])
                except ClientError as error:
                    reasons = cancelled_by(error)
                    if reasons[:1] == [_CONDITION_FAILED]:
                        raise VersionConflict("The record changed between reading and writing it.") from error
                    # Another transaction is at an item right now, which the SDK does not try again by itself, or it took
                    # the number of an event.
                    if not {"TransactionConflict", _CONDITION_FAILED} & {*reasons}:
                        raise
                    self._newest = None
                else:
                    if events:
                        self._newest = (key, number + len(events))
                    return
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise Transient(
            f"Others were writing the record of {environment.id}, or its events, at each of {_BUSY_TRIES} attempts.",
            ErrorCode.AWS_UNAVAILABLE,
        )


def _unchanged(before: Environment | None) -> Item:
    """The condition of a write: the record still is `before`, or there still is none."""
    if before is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :version AND lease_token = :token",
        "ExpressionAttributeValues": {":version": before.version, ":token": before.lease.token},
    }


def _readable(rows: Iterable[Item]) -> Iterator[Environment]:
    """One record that can't be read must not hide all others. A request for that very record says so."""
    for row in rows:
        try:
            yield record_of(row)
        except Terminal as error:
            logger.warning("A record is left out of a listing.", detail=error.message)


def _events_key(environment: Environment) -> str:
    return f"ENV#{environment.id}#{environment.incarnation}"


def _write_cursor(position: int, start: Item | None) -> str:
    return _encoded(json.dumps([position, start]))


def _read_cursor(cursor: str | None, positions: int) -> tuple[int, Item | None]:
    if cursor is None:
        return 0, None
    try:
        position, start = _CURSOR.validate_json(_decoded(cursor))
    except ValidationError as error:
        raise _bad_cursor() from error
    if not 0 <= position < positions:
        raise _bad_cursor()
    return position, start


def _encoded(text: str) -> str:
    """A cursor that needs no quoting in a query."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise _bad_cursor() from error
    if not text or len(text) > _LONGEST_CURSOR:
        raise _bad_cursor()
    return text


def _bad_cursor() -> BadRequest:
    return BadRequest("That cursor is not from this listing. Start again without one.", ErrorCode.BAD_CURSOR)

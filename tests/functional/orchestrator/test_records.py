"""Records in a table of the local cloud: conditional writes, indexes and paging (I1, I2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from orchestrator.api.use_cases import ACTIVE
from orchestrator.domain import desired, lease
from orchestrator.domain.desired import Adjustment, EnvironmentRequest, LifetimeLimits
from orchestrator.domain.environment import Environment, Failure, Observed, Operation, Receipt, Spec, Status
from orchestrator.domain.errors import BadRequest, ErrorCode, LeaseLost, VersionConflict
from orchestrator.domain.events import Event
from orchestrator.domain.observed import mark_destroyed
from orchestrator.domain.sweeps import Action, Finding, FindingKind, Outcome, SweepKind, SweepReport, SweepStatus

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
LIMITS = LifetimeLimits(timedelta(hours=12), timedelta(days=7))
SPEC = Spec("public.ecr.aws/a/b:v1", variables={"A": "1"}, revision="7")
REQUESTED = Event(NOW, "requested", "By alice.", {"generation": 1})


def new(environment_id: str = "test1", owner: str = "arn:alice", **more: object) -> Environment:
    return desired.create(environment_id, owner, EnvironmentRequest(SPEC, **more), LIMITS, NOW)  # type: ignore[arg-type]


def everything_set() -> Environment:
    return replace(
        new(labels={"team": "a"}, ttl=timedelta(days=1)),
        observed=Observed(1, "https://x", "arn:service", "image", NOW),
        operation=Operation.UPDATE,
        failure=Failure(Operation.UPDATE, ErrorCode.QUOTA, "No room.", True, NOW),
        retry_at=NOW,
        lease=lease.Lease(3, "worker", NOW + timedelta(minutes=16)),
        receipt=Receipt(NOW, ("a", "b"), ("c",), "removed", "image"),
        idempotency="digest",
    )


def test_a_record_reads_back_as_it_was_written(records: DynamoRecords) -> None:
    assert records.get("test1") is None
    records.write(None, everything_set(), REQUESTED)
    assert records.get("test1") == everything_set()


def test_an_id_can_be_added_only_once(records: DynamoRecords) -> None:
    records.write(None, new(), REQUESTED)
    with pytest.raises(VersionConflict):
        records.write(None, new(owner="arn:bob"), REQUESTED)
    found = records.get("test1")
    assert found == new()


def test_a_write_based_on_an_old_version_writes_neither_record_nor_event(records: DynamoRecords) -> None:
    before = new()
    records.write(None, before, REQUESTED)
    changed = desired.adjust(before, Adjustment(protected=True), LIMITS, NOW)
    records.write(before, changed, Event(NOW, "adjusted", ""))
    late = desired.remove(before, "late", NOW)
    with pytest.raises(VersionConflict):
        records.write(before, late, Event(NOW, "removal", ""))
    assert records.get("test1") == changed
    assert [event.kind for event in records.events(changed, None, 10).items] == ["requested", "adjusted"]


def test_I2_one_of_eight_concurrent_workers_claims_the_lease(records: DynamoRecords) -> None:
    before = new()
    records.write(None, before, REQUESTED)

    def claim(number: int) -> bool:
        after = lease.claim(before, f"worker-{number}", NOW, NOW + timedelta(minutes=16))
        assert after is not None
        try:
            records.write(before, after)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(claim, range(8))) == 1


def test_I2_a_progress_event_under_an_old_token_is_refused(records: DynamoRecords) -> None:
    before = new()
    records.write(None, before, REQUESTED)
    first = lease.claim(before, "one", NOW, NOW)
    assert first is not None
    records.write(before, first)
    records.note(first, Event(NOW, "progress", "with the current token"))
    second = lease.claim(first, "two", NOW, NOW + timedelta(minutes=16))
    assert second is not None
    records.write(first, second)
    with pytest.raises(LeaseLost):
        records.note(first, Event(NOW, "progress", "with an old token"))
    assert [event.message for event in records.events(second, None, 10).items] == [
        "By alice.",
        "with the current token",
    ]


def test_events_are_read_in_order_from_a_cursor(records: DynamoRecords) -> None:
    environment = new()
    records.write(None, environment, REQUESTED)
    for second in range(1, 8):
        records.note(environment, Event(NOW + timedelta(seconds=second), "progress", f"line {second}", {"n": second}))
    first = records.events(environment, None, 5)
    rest = records.events(environment, first.cursor, 5)
    assert [event.message for event in (*first.items, *rest.items)] == ["By alice."] + [
        f"line {n}" for n in range(1, 8)
    ]
    empty = records.events(environment, rest.cursor, 5)
    assert (empty.items, empty.cursor) == ([], rest.cursor)
    assert first.items[1] == Event(NOW + timedelta(seconds=1), "progress", "line 1", {"n": 1})


def test_a_follower_misses_no_event_that_is_written_late_with_an_earlier_time(
    records: DynamoRecords, another: DynamoRecords
) -> None:
    """A worker's clock may be behind, and its write may take long; a follower is past that time by then."""
    environment = new()
    records.write(None, environment, REQUESTED)
    records.note(environment, Event(NOW + timedelta(seconds=9), "progress", "later"))
    seen = records.events(environment, None, 10)
    another.note(environment, Event(NOW + timedelta(seconds=1), "progress", "earlier, but written after it"))
    missed = records.events(environment, seen.cursor, 10)
    assert [event.message for event in missed.items] == ["earlier, but written after it"]
    records.note(environment, Event(NOW + timedelta(seconds=2), "progress", "and another"))
    assert [event.message for event in records.events(environment, missed.cursor, 10).items] == ["and another"]


def test_a_follower_of_three_writers_sees_each_event_once(
    records: DynamoRecords, operator_session: boto3.Session, table: str
) -> None:
    environment = new()
    records.write(None, environment, REQUESTED)

    def write(writer: int) -> None:
        own = DynamoRecords(operator_session.resource("dynamodb").meta.client, table)
        for number in range(6):
            own.note(environment, Event(NOW, "progress", f"{writer}.{number}"))

    cursor, seen = None, []
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, writer) for writer in range(3)]
        while True:
            done = all(each.done() for each in writing)
            page = records.events(environment, cursor, 4)
            cursor = page.cursor
            seen += [event.message for event in page.items]
            if done and not page.items:
                break
    assert [each.exception() for each in writing] == [None] * 3
    assert seen[0] == REQUESTED.message
    for writer in range(3):
        own = [message for message in seen if message.startswith(f"{writer}.")]
        assert own == [f"{writer}.{number}" for number in range(6)]


@pytest.mark.parametrize("cursor", ["*", "\u00e9", "gA", "W" * 4000])
def test_an_invalid_events_cursor_is_refused(records: DynamoRecords, cursor: str) -> None:
    with pytest.raises(BadRequest) as refused:
        records.events(new(), cursor, 10)
    assert refused.value.code == "bad_cursor"


def test_listings_page_through_all_statuses_of_one_owner(records: DynamoRecords) -> None:
    for number in range(7):
        records.write(None, replace(new(f"mine-{number}"), created_at=NOW + timedelta(seconds=number)), REQUESTED)
    for number in range(3):
        ready = replace(new(f"done-{number}"), observed=Observed(1, "https://x"))
        records.write(None, ready, REQUESTED)
    records.write(None, new("other-1", owner="arn:bob"), REQUESTED)
    found: list[str] = []
    cursor = None
    pages = 0
    while True:
        page = records.listing("arn:alice", ACTIVE, {}, cursor, 4)
        found += [environment.id for environment in page.items]
        pages += 1
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == sorted([f"mine-{n}" for n in range(7)] + [f"done-{n}" for n in range(3)])
    assert found[:7] == [f"mine-{n}" for n in range(7)]
    assert 3 <= pages <= 4
    all_owners = records.listing(None, ACTIVE, {}, None, 100)
    assert len(all_owners.items) == 11


def test_listings_filter_by_status_and_label(records: DynamoRecords) -> None:
    records.write(None, new("red-1", labels={"colour": "red", "team": "a"}), REQUESTED)
    records.write(None, new("blue-1", labels={"colour": "blue"}), REQUESTED)
    assert [each.id for each in records.listing("arn:alice", ACTIVE, {"colour": "red"}, None, 10).items] == ["red-1"]
    assert records.listing("arn:alice", (Status.READY,), {}, None, 10).items == []


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "WzAsIHsicGsiOiB7IlMiOiAieCJ9fV0",
        "WzksIG51bGxd",
        "e30",
        "====",
        "\u00e9",
        "NQ",
        "bnVsbA",
        "WzAseyJhIjoxfV0",
        "W" * 4000,
    ],
)
def test_an_invalid_listing_cursor_is_refused(records: DynamoRecords, cursor: str) -> None:
    with pytest.raises(BadRequest) as refused:
        records.listing("arn:alice", ACTIVE, {}, cursor, 10)
    assert refused.value.code == "bad_cursor"


def test_due_environments_are_found_by_their_time(records: DynamoRecords) -> None:
    for number in range(12):
        records.write(None, new(f"due-{number:02d}", ttl=timedelta(hours=number + 1)), REQUESTED)
        stored = records.get(f"due-{number:02d}")
        assert stored is not None
        ready = replace(stored, observed=Observed(1, "https://x"), version=2)
        records.write(stored, ready)
    assert sorted(records.due(NOW + timedelta(hours=5))) == [f"due-{n:02d}" for n in range(5)]
    assert list(records.due(NOW)) == []


def test_a_tombstone_is_kept_beside_the_next_incarnation(records: DynamoRecords) -> None:
    environment = new()
    records.write(None, environment, REQUESTED)
    claimed = lease.claim(desired.remove(environment, "done", NOW), "w", NOW, NOW)
    assert claimed is not None
    tombstone = mark_destroyed(claimed, claimed.lease.token, Receipt(NOW, ("x",), (), "done", "image"))
    records.write(environment, tombstone)
    fresh = desired.create("test1", "arn:bob", EnvironmentRequest(SPEC), LIMITS, NOW, tombstone=tombstone)
    records.write(tombstone, fresh, REQUESTED)
    assert records.get("test1") == fresh
    assert records.listing("arn:alice", (Status.DESTROYED,), {}, None, 10).items == [tombstone]
    assert records.listing("arn:bob", ACTIVE, {}, None, 10).items == [fresh]
    assert [event.kind for event in records.events(fresh, None, 10).items] == ["requested"]


def test_one_sweep_runs_at_a_time_and_an_expired_one_is_replaced(reports: DynamoReports) -> None:
    assert reports.acquire("one", NOW, NOW + timedelta(minutes=15))
    assert reports.acquire("one", NOW, NOW + timedelta(minutes=15)), "repeated because its answer was lost"
    assert not reports.acquire("two", NOW, NOW + timedelta(minutes=15))
    reports.release("two")
    assert not reports.acquire("two", NOW, NOW + timedelta(minutes=15))
    reports.release("one")
    assert reports.acquire("two", NOW, NOW + timedelta(minutes=15))
    assert reports.acquire("three", NOW + timedelta(minutes=15), NOW + timedelta(minutes=30))


def test_a_report_reads_back_as_it_was_written(reports: DynamoReports) -> None:
    assert reports.read("one") is None
    finding = Finding(
        FindingKind.RETRY_DUE, Action.DISPATCH, "test1", "attempt 2 was due", Outcome.FAILED, "no", overdue_seconds=7
    )
    report = SweepReport(
        "one",
        SweepKind.DEEP,
        dry_run=False,
        status=SweepStatus.ABORTED,
        requested_at=NOW,
        detail="too many",
        ended_at=NOW + timedelta(seconds=1),
        finding_count=1,
        findings=(finding, Finding(FindingKind.FOREIGN, Action.KEEP, None, "another platform's", Outcome.KEPT)),
        inventory={"services": 3},
    )
    reports.write(report)
    assert reports.read("one") == report


def test_active_environments_are_counted_by_owner_up_to_the_given_number(records: DynamoRecords) -> None:
    assert records.count_active("arn:alice", 3) == 0
    large = Spec("public.ecr.aws/a/b:v1", variables={f"V{number}": "x" * 4096 for number in range(12)})
    receipt = everything_set().receipt
    assert receipt is not None
    for number in range(30):
        environment = replace(new(f"alice-{number:02d}"), spec=large)
        # Deploying environments sort before tombstones, pending ones after them.
        records.write(None, replace(environment, operation=Operation.DEPLOY) if number % 2 else environment, REQUESTED)
    records.write(None, replace(new("destroyed"), present=False, receipt=receipt), REQUESTED)
    records.write(None, replace(new("destroying"), present=False), REQUESTED)
    records.write(None, new("bobs", owner="arn:bob"), REQUESTED)
    assert [records.count_active("arn:alice", most) for most in (1, 20, 31, 100)] == [1, 20, 31, 31]
    assert records.count_active("arn:bob", 100) == 1

"""Each kind of drift between cloud and records, and what a deep sweep does and does not do about it (I3, I4, I6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orchestrator.domain import desired, lease, names
from orchestrator.domain.desired import Adjustment
from orchestrator.domain.environment import Environment, Failure, Operation
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.domain.sweeps import Finding, SweepKind, SweepReport
from orchestrator.sweeper.drift import MAX_REMOVAL_RETRIES, NO_OWNER, cap
from orchestrator.sweeper.report import metrics_of
from tests.fakes.records import FakeRecords
from tests.unit.orchestrator.clouds import OWNER, our_tags, queue, refresh_inventory, service, stack
from tests.unit.orchestrator.worlds import ALICE, PLATFORM, World

HOUR = 3600.0


def deep(world: World, *, dry_run: bool = False) -> SweepReport:
    return world.sweep(SweepKind.DEEP, dry_run=dry_run)


def found(report: SweepReport) -> list[tuple[str | None, str, str, str]]:
    return [(each.environment, each.kind, each.action, outcome_of(each)) for each in report.findings]


def outcome_of(finding: Finding) -> str:
    return f"{finding.outcome}: {finding.error}" if finding.error else finding.outcome


@pytest.fixture
def world() -> World:
    """A platform with one healthy environment."""
    world = World()
    world.ready("good", ttl=timedelta(days=6))
    refresh_inventory(world)
    world.clock.sleep(60)
    world.dispatcher.asked.clear()
    return world


def add_orphan(world: World, environment_id: str = "lost1") -> World:
    """Add a service and a stack of an environment without a record."""
    now = world.clock()
    world.inventory.found_services.append(service(environment_id, now, our_tags(environment_id)))
    world.inventory.found_stacks.append(stack(environment_id, now, our_tags(environment_id)))
    return world


def test_a_sweep_finds_nothing_when_cloud_and_records_agree(world: World) -> None:
    before = world.record("good")
    report = deep(world)
    assert (report.status, report.kind, report.findings) == ("done", "deep", ())
    assert report.inventory == {"services": 1, "stacks": 1, "resources": 0, "environments": 1, "records": 1}
    assert world.record("good") == before


def test_a_light_sweep_does_not_read_the_inventory(world: World) -> None:
    world.inventory.error = Transient("A light sweep must not get here.")
    assert world.sweep().status == "done"


def test_a_deep_sweep_also_dispatches_due_environments(world: World) -> None:
    world.environments.adjust(ALICE, "good", Adjustment(ttl=timedelta(seconds=30)))
    world.clock.sleep(60)
    report = deep(world)
    assert found(report) == [("good", "expired", "remove", "dispatched")]
    assert report.looked_for.startswith("what is due") and "orphans" in report.looked_for


def test_I3_an_orphan_is_suspected_first_and_removed_an_hour_later(world: World) -> None:
    add_orphan(world)
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]
    assert world.records.get("lost1") is None
    world.clock.sleep(HOUR - 1)
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]
    world.clock.sleep(1)
    assert found(deep(world)) == [("lost1", "orphan_service", "remove", "dispatched")]
    record = world.record("lost1")
    assert (record.present, record.needs_refresh, record.owner, record.status) == (False, True, OWNER, "destroying")
    assert record.reason.startswith("orphan_service: no record accounts for service fib-app-lost1-service and stack")
    assert world.dispatcher.asked == ["lost1"]
    assert world.records.kinds("lost1") == ["orphan_service"]
    world.inventory.found_services.pop()
    world.inventory.found_stacks.pop()
    assert world.reconcile("lost1").status == "destroyed"
    assert found(deep(world)) == []
    assert world.reports.suspected == {}


def test_I6_an_orphan_that_disappeared_and_returned_is_suspected_again(world: World) -> None:
    add_orphan(world)
    deep(world)
    refresh_inventory(world)
    world.clock.sleep(2 * HOUR)
    deep(world)
    add_orphan(world)
    world.clock.sleep(2 * HOUR)
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]


def test_I6_a_service_younger_than_the_suspicion_is_suspected_again(world: World) -> None:
    add_orphan(world)
    deep(world)
    world.clock.sleep(HOUR)
    world.inventory.found_services[-1] = replace(world.inventory.found_services[-1], created_at=world.clock())
    world.clock.sleep(HOUR)
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]
    world.clock.sleep(HOUR)
    assert found(deep(world)) == [("lost1", "orphan_service", "remove", "dispatched")]


def test_a_suspicion_dated_in_the_future_counts_from_now(world: World) -> None:
    add_orphan(world)
    world.reports.suspected = {"lost1": world.clock() + timedelta(days=1)}
    deep(world)
    assert world.reports.suspected == {"lost1": world.clock()}


def test_an_orphan_stack_without_a_service_is_suspected_and_removed(world: World) -> None:
    add_orphan(world)
    world.inventory.found_services.pop()
    assert found(deep(world)) == [("lost1", "orphan_stack", "suspect", "suspected")]
    world.clock.sleep(HOUR)
    assert found(deep(world)) == [("lost1", "orphan_stack", "remove", "dispatched")]


def make_tombstone(world: World, environment_id: str) -> Environment:
    world.ready(environment_id)
    tombstone = world.destroy(environment_id)
    world.clock.sleep(60)
    return tombstone


def test_an_orphan_of_a_tombstone_becomes_the_next_incarnation(world: World) -> None:
    tombstone = make_tombstone(world, "lost1")
    add_orphan(world)
    deep(world)
    world.clock.sleep(HOUR)
    assert found(deep(world)) == [("lost1", "orphan_service", "remove", "dispatched")]
    record = world.record("lost1")
    assert (record.incarnation, record.owner, record.present) == (2, OWNER, False)
    assert record.lease.token == tombstone.lease.token
    assert world.records.tombstones == [tombstone]


LONG_OWNER = f"{ALICE.owner}{'e' * 300}"


@pytest.mark.parametrize(
    ("tombstone_owner", "tag", "owner"),
    [
        (ALICE.owner, None, ALICE.owner),
        (ALICE.owner, OWNER, OWNER),
        (LONG_OWNER, LONG_OWNER[:256], LONG_OWNER),
        (ALICE.owner, ALICE.owner[:-1], ALICE.owner[:-1]),
    ],
)
def test_an_orphans_owner_comes_from_its_tag_or_else_from_the_tombstone(
    world: World, tombstone_owner: str, tag: str | None, owner: str
) -> None:
    world.records.records["lost1"] = replace(make_tombstone(world, "lost1"), owner=tombstone_owner)
    tags = {name: value for name, value in our_tags("lost1").items() if name != names.TAG_OWNER}
    tags |= {names.TAG_OWNER: tag} if tag else {}
    world.inventory.found_services.append(service("lost1", world.clock(), tags))
    deep(world)
    world.clock.sleep(HOUR)
    deep(world)
    assert world.record("lost1").owner == owner


def test_an_orphan_without_an_owner_tag_or_tombstone_gets_the_placeholder_owner(world: World) -> None:
    tags = {names.TAG_PLATFORM: PLATFORM, names.TAG_ENVIRONMENT: "lost1"}
    world.inventory.found_services.append(service("lost1", world.clock(), tags))
    deep(world)
    world.clock.sleep(HOUR)
    deep(world)
    assert world.record("lost1").owner == NO_OWNER


def test_a_receipt_clears_an_older_suspicion(world: World) -> None:
    add_orphan(world)
    deep(world)
    world.clock.sleep(60)
    make_tombstone(world, "lost1")
    world.clock.sleep(2 * HOUR)
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]


def test_an_environment_destroyed_during_the_listing_is_not_an_orphan(world: World) -> None:
    world.ready("going")
    refresh_inventory(world)

    def while_listing() -> None:
        world.clock.sleep(5)
        world.environments.remove(ALICE, "going")
        world.work("going")
        world.clock.sleep(5)

    world.inventory.while_listing = while_listing
    assert found(deep(world)) == []
    assert world.reports.suspected == {}


def test_an_environment_created_during_the_listing_is_not_missing(world: World) -> None:
    world.inventory.while_listing = lambda: (world.clock.sleep(5), world.ready("fresh"))
    assert found(deep(world)) == []


@pytest.mark.parametrize(
    "tags",
    [
        {},
        our_tags("lost1", platform="another"),
        our_tags("lost1", platform="none"),
        our_tags("lost1", environment="lost2"),
        {names.TAG_PLATFORM: PLATFORM},
        {names.TAG_ENVIRONMENT: "lost1"},
    ],
)
def test_I4_a_service_or_stack_with_our_name_and_other_tags_is_foreign_and_kept(
    world: World, tags: Mapping[str, str]
) -> None:
    old = world.clock()
    world.inventory.found_services.append(service("lost1", old, tags))
    world.inventory.found_stacks.append(stack("lost1", old, tags))
    for _ in range(3):
        assert found(deep(world)) == [("lost1", "foreign", "keep", "kept")] * 2
        world.clock.sleep(2 * HOUR)
    assert world.records.get("lost1") is None and world.dispatcher.asked == []


def test_I4_a_service_or_stack_with_unreadable_tags_is_unknown_and_kept(world: World) -> None:
    world.inventory.found_services.append(service("lost1", world.clock(), None))
    world.inventory.found_stacks.append(stack("lost2", world.clock(), None))
    for _ in range(3):
        assert found(deep(world)) == [("lost1", "unknown", "keep", "kept"), ("lost2", "unknown", "keep", "kept")]
        world.clock.sleep(2 * HOUR)
    assert world.dispatcher.asked == []


def test_a_stack_without_tags_is_not_reported_if_it_has_a_record(world: World) -> None:
    world.inventory.found_stacks[0] = replace(world.inventory.found_stacks[0], tags=None)
    assert found(deep(world)) == []


@pytest.mark.parametrize("tags", [None, {}, our_tags("lost1", platform="none")])
def test_I4_an_orphan_service_is_kept_if_its_stack_is_not_ours(world: World, tags: Mapping[str, str] | None) -> None:
    add_orphan(world)
    world.inventory.found_stacks[-1] = replace(world.inventory.found_stacks[-1], tags=tags)
    for _ in range(3):
        assert ("lost1", "orphan_service", "keep", "kept") in found(deep(world))
        world.clock.sleep(2 * HOUR)
    assert world.records.get("lost1") is None


def test_a_tagged_resource_without_record_or_stack_is_reported_and_kept(world: World) -> None:
    world.inventory.found_resources = [queue("lost1"), queue("good")]
    world.inventory.found_resources.append(replace(queue("x"), tags={names.TAG_PLATFORM: PLATFORM}))
    for _ in range(3):
        assert found(deep(world)) == [("lost1", "orphan_resource", "keep", "kept")]
        world.clock.sleep(2 * HOUR)


def test_a_resource_of_an_orphan_stack_is_not_reported_separately(world: World) -> None:
    add_orphan(world).inventory.found_resources = [queue("lost1")]
    assert found(deep(world)) == [("lost1", "orphan_service", "suspect", "suspected")]


def test_a_tagged_service_under_another_name_is_reported_as_a_resource(world: World) -> None:
    for environment_id in ("good", "lost1"):
        other = replace(service("x", world.clock(), our_tags(environment_id)), name="renamed-by-hand", arn="arn:other")
        world.inventory.found_services.append(other)
    assert found(deep(world)) == [("lost1", "orphan_resource", "keep", "kept")]


def test_a_resource_tagged_with_an_invalid_environment_id_is_reported(world: World) -> None:
    world.inventory.found_resources = [replace(queue("x"), tags=our_tags("No Such Name"))]
    assert found(deep(world)) == [(None, "foreign", "keep", "kept")]


def test_a_deleted_service_is_restored(world: World) -> None:
    world.ready("other", ttl=timedelta(days=6))
    refresh_inventory(world)
    world.clock.sleep(60)
    del world.cloud.services["other"]
    refresh_inventory(world)
    assert found(deep(world)) == [("other", "missing_service", "restore", "dispatched")]
    record = world.record("other")
    assert record.generation == 2 and record.needs_refresh
    assert record.reason.startswith("missing_service: it should be ready")
    assert world.reconcile("other").status == "ready" and "other" in world.cloud.services


def test_a_service_is_not_missing_while_a_worker_holds_the_lease(world: World) -> None:
    world.ready("other")
    refresh_inventory(world)
    world.clock.sleep(60)
    world.inventory.found_services.pop()
    held = lease.claim(world.record("other"), "worker", world.clock(), world.clock() + timedelta(minutes=16))
    assert held is not None
    world.records.records["other"] = held
    assert found(deep(world)) == []


def test_I6_findings_on_a_protected_environment_are_reported_and_not_acted_on(world: World) -> None:
    world.ready("other", protected=True)
    paused = world.ready("third", protected=True)
    world.clock.sleep(60)
    refresh_inventory(world)
    world.inventory.found_services = [
        replace(each, status="PAUSED") if each.name == "fib-app-third-service" else each
        for each in world.inventory.found_services
        if each.name != "fib-app-other-service"
    ]
    assert found(deep(world)) == [
        ("other", "missing_service", "keep", "kept"),
        ("third", "drifted", "keep", "kept"),
    ]
    assert world.record("third") == paused


def test_a_failed_forced_removal_of_a_protected_environment_is_retried(world: World) -> None:
    world.records.records["fourth"] = replace(fail_removal(world, "fourth"), protected=True)
    refresh_inventory(world)
    assert found(deep(world)) == [("fourth", "unfinished_removal", "retry_removal", "dispatched")]


def test_an_unreadable_record_accounts_for_its_service_and_does_not_stop_the_sweep(world: World) -> None:
    class Records(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            if environment_id == "unreadable":
                raise Terminal("The record ENV#unreadable can't be read.", "bad_record")
            return super().get(environment_id)

    world.ready("other")
    world.clock.sleep(7200)
    refresh_inventory(world)
    yesterday = world.clock() - timedelta(days=1)
    world.inventory.found_services = [
        *(each for each in world.inventory.found_services if each.name != "fib-app-other-service"),
        service("unreadable", yesterday, our_tags("unreadable")),
    ]
    records = Records()
    records.records = world.records.records
    world.sweeper = replace(world.sweeper, ports=replace(world.ports, records=records))
    world.reports.suspect({"unreadable": yesterday})
    outcomes = {each.environment: outcome_of(each) for each in deep(world).findings}
    assert outcomes == {"unreadable": "failed: The record ENV#unreadable can't be read.", "other": "dispatched"}


def test_a_running_service_without_its_stack_is_reported(world: World) -> None:
    world.ready("other")
    refresh_inventory(world)
    world.clock.sleep(60)
    world.inventory.found_stacks.pop()
    assert found(deep(world)) == [("other", "missing_stack", "keep", "kept")]


def test_a_service_paused_outside_the_api_is_resumed(world: World) -> None:
    world.inventory.found_services[0] = replace(world.inventory.found_services[0], status="PAUSED")
    assert found(deep(world)) == [("good", "drifted", "restore", "dispatched")]


def test_a_service_resumed_outside_the_api_is_paused_again(world: World) -> None:
    world.environments.pause(ALICE, "good")
    world.work("good")
    refresh_inventory(world)
    world.clock.sleep(60)
    assert found(deep(world)) == []
    world.inventory.found_services[0] = replace(world.inventory.found_services[0], status="RUNNING")
    assert found(deep(world)) == [("good", "drifted", "restore", "dispatched")]


def test_a_busy_service_has_not_drifted(world: World) -> None:
    busy = replace(world.inventory.found_services[0], status="OPERATION_IN_PROGRESS")
    world.inventory.found_services[0] = busy
    assert found(deep(world)) == []


def fail_removal(world: World, environment_id: str) -> Environment:
    world.ready(environment_id)
    removed = world.environments.remove(ALICE, environment_id)
    failure = Failure(Operation.DESTROY, "aws_refused", "AWS refused the delete.", final=True, at=world.clock())
    record = replace(removed, failure=failure)
    world.records.records[environment_id] = record
    world.dispatcher.asked.clear()
    return record


def test_a_permanently_failed_removal_is_retried_three_times_and_then_quarantined(world: World) -> None:
    record = fail_removal(world, "stuck")
    refresh_inventory(world)
    for retries in range(1, MAX_REMOVAL_RETRIES + 1):
        assert found(deep(world)) == [("stuck", "unfinished_removal", "retry_removal", "dispatched")]
        retried = world.record("stuck")
        assert (retried.removal_retries, retried.outstanding) == (retries, True)
        world.records.records["stuck"] = replace(retried, failure=record.failure)
        world.clock.sleep(24 * HOUR)
    quarantined = world.record("stuck")
    add_orphan(world)
    assert found(deep(world)) == [
        ("lost1", "orphan_service", "suspect", "suspected"),
        ("stuck", "quarantined", "keep", "kept"),
    ]
    assert world.record("stuck") == quarantined


def add_orphan_services(world: World, count: int, since: datetime) -> None:
    for number in range(count):
        world.inventory.found_services.append(service(f"lost-{number}", since, our_tags(f"lost-{number}")))


def test_I6_more_orphans_than_the_cap_abort_the_sweep(world: World) -> None:
    add_orphan_services(world, 11, world.clock())
    deep(world)
    suspected = dict(world.reports.suspected)
    world.clock.sleep(HOUR)
    report = deep(world)
    assert report.status == "aborted"
    assert report.detail == ("11 orphans to remove among 12 environments are more than the 10 that one sweep may touch")
    assert {outcome for _, _, _, outcome in found(report)} == {"aborted"}
    assert metrics_of(report)["sweep_incomplete"] == 1
    assert world.dispatcher.asked == [] and list(world.records.records) == ["good"]
    assert world.reports.suspected == suspected


def test_I6_orphans_up_to_the_cap_are_removed(world: World) -> None:
    add_orphan_services(world, 10, world.clock())
    deep(world)
    world.clock.sleep(HOUR)
    assert deep(world).status == "done"
    assert len(world.dispatcher.asked) == 10


def test_the_cap_is_ten_or_thirty_percent() -> None:
    assert [cap(count) for count in (0, 33, 34, 100, 300)] == [10, 10, 10, 30, 90]


def test_due_environments_are_dispatched_even_if_the_comparison_aborts(world: World) -> None:
    add_orphan_services(world, 11, world.clock())
    world.reports.suspected = {f"lost-{number}": world.clock() for number in range(11)}
    world.environments.adjust(ALICE, "good", Adjustment(ttl=timedelta(minutes=1)))
    world.clock.sleep(HOUR)
    report = deep(world)
    assert report.status == "aborted" and world.dispatcher.asked == ["good"]


def test_an_inventory_that_lacks_half_of_the_services_restores_nothing() -> None:
    world = World()
    for number in range(40):
        world.ready(f"env-{number:02}", ttl=timedelta(days=6))
    refresh_inventory(world)
    world.clock.sleep(60)
    before = dict(world.records.records)
    world.inventory.found_services = world.inventory.found_services[:20]
    report = deep(world)
    assert f"{report.status}: {report.detail}".startswith("aborted: 20 environments to restore among 40")
    assert world.records.records == before


@pytest.mark.parametrize("what", ["found_services", "found_stacks"])
def test_an_empty_inventory_is_an_error_and_keeps_the_suspicions(world: World, what: str) -> None:
    add_orphan(world)
    deep(world)
    suspected = dict(world.reports.suspected)
    world.clock.sleep(HOUR)
    setattr(world.inventory, what, [])
    with pytest.raises(Terminal, match=r"shows no (service|stack) of this platform"):
        deep(world)
    failed = world.reports.reports["s"]
    assert failed.status == "failed" and failed.detail.startswith("1 records say")
    assert world.reports.suspected == suspected and world.dispatcher.asked == []


def test_the_only_service_is_restored_once_it_is_known_to_be_deleted(world: World) -> None:
    """An empty list of services is mistrusted, but not when the recorded service itself is gone."""
    world.inventory.found_services = []
    world.inventory.gone = {world.record("good").observed.service_arn or ""}
    assert found(deep(world)) == [("good", "missing_service", "restore", "dispatched")]


def test_an_empty_list_of_services_is_an_error_while_one_recorded_service_exists(world: World) -> None:
    world.ready("other", ttl=timedelta(days=6))
    world.clock.sleep(60)
    refresh_inventory(world)
    world.inventory.found_services = []
    world.inventory.gone = {world.record("good").observed.service_arn or ""}
    with pytest.raises(Terminal, match="shows no service of this platform"):
        deep(world)
    assert world.record("good").generation == 1


def test_an_empty_list_of_stacks_is_an_error_even_if_the_services_are_gone(world: World) -> None:
    world.inventory.found_stacks = world.inventory.found_services = []
    world.inventory.gone = {world.record("good").observed.service_arn or ""}
    with pytest.raises(Terminal, match="shows no stack of this platform"):
        deep(world)


def test_an_inventory_of_foreign_services_only_is_an_error(world: World) -> None:
    foreign = [replace(each, tags=our_tags("good", platform="another")) for each in world.inventory.found_services]
    world.inventory.found_services = foreign
    with pytest.raises(Terminal, match="shows no service of this platform"):
        deep(world)


def test_a_table_without_any_record_is_an_error() -> None:
    world = add_orphan(World())
    with pytest.raises(Terminal, match="not even a tombstone"):
        deep(world)
    assert world.reports.suspected == {}


def test_a_table_with_only_a_tombstone_is_no_error() -> None:
    world = World()
    make_tombstone(world, "old")
    assert found(deep(add_orphan(world))) == [("lost1", "orphan_service", "suspect", "suspected")]


def test_an_empty_table_and_an_empty_cloud_are_no_error() -> None:
    assert deep(World()).status == "done"


def test_an_unreachable_cloud_is_reported_and_raised_after_the_due_work(world: World) -> None:
    world.inventory.error = Transient("AWS could not be reached.")
    world.environments.adjust(ALICE, "good", Adjustment(ttl=timedelta(seconds=1)))
    world.clock.sleep(60)
    with pytest.raises(Transient):
        deep(world)
    report = world.reports.reports["s"]
    assert (report.status, report.detail) == ("failed", "AWS could not be reached.")
    assert found(report) == [("good", "expired", "remove", "dispatched")]
    assert world.reports.running is None


def test_a_deep_dry_run_stores_no_suspicions(world: World) -> None:
    add_orphan(world, "lost1")
    add_orphan(world, "lost2")
    suspected = {"lost1": world.clock()}
    world.reports.suspected = dict(suspected)
    world.inventory.found_services[0] = replace(world.inventory.found_services[0], status="PAUSED")
    world.clock.sleep(HOUR)
    before = dict(world.records.records)
    report = deep(world, dry_run=True)
    assert found(report) == [
        ("lost1", "orphan_service", "remove", "planned"),
        ("lost2", "orphan_service", "suspect", "planned"),
        ("good", "drifted", "restore", "planned"),
    ]
    assert report.status == "planned"
    assert (world.records.records, world.reports.suspected, world.dispatcher.asked) == (before, suspected, [])


def test_a_record_that_changes_before_the_write_is_left_alone(world: World) -> None:
    world.inventory.found_services[0] = replace(world.inventory.found_services[0], status="PAUSED")
    world.records.meanwhile["drifted"] = lambda: world.environments.pause(ALICE, "good")
    assert found(deep(world)) == [("good", "drifted", "restore", "changed_meanwhile")]
    assert world.record("good").paused


def test_an_id_taken_before_the_write_is_left_alone(world: World) -> None:
    add_orphan(world)
    deep(world)
    world.clock.sleep(HOUR)
    world.records.meanwhile["orphan_service"] = lambda: world.ready("lost1")
    assert found(deep(world)) == [("lost1", "orphan_service", "remove", "changed_meanwhile")]
    assert world.record("lost1").present


def test_one_failed_finding_does_not_stop_the_others(world: World) -> None:
    add_orphan(world, "lost1")
    add_orphan(world, "lost2")
    deep(world)
    world.clock.sleep(HOUR)

    def refuse() -> None:
        raise Terminal("The table refused the write.")

    world.records.meanwhile["orphan_service"] = refuse
    assert found(deep(world)) == [
        ("lost1", "orphan_service", "remove", "failed: The table refused the write."),
        ("lost2", "orphan_service", "remove", "dispatched"),
    ]
    assert found(deep(world)) == [("lost1", "orphan_service", "remove", "dispatched")]


def test_findings_not_reached_in_time_are_deferred(world: World) -> None:
    add_orphan(world, "lost1")
    add_orphan(world, "lost2")
    deep(world)
    world.clock.sleep(HOUR)
    world.records.meanwhile["orphan_service"] = lambda: world.clock.sleep(800)
    assert [outcome for _, _, _, outcome in found(deep(world))] == ["dispatched", "deferred"]
    assert found(deep(world))[-1] == ("lost2", "orphan_service", "remove", "dispatched")


def test_a_listing_that_takes_too_long_stops_the_sweep(world: World) -> None:
    add_orphan(world)
    world.inventory.while_listing = lambda: world.clock.sleep(800)
    report = deep(world)
    assert f"{report.status}: {report.detail}".startswith("stopped: the time was over")
    assert report.findings == () and world.reports.suspected == {}
    assert metrics_of(report)["sweep_incomplete"] == 1


def test_deferred_expiries_are_the_backlog(world: World) -> None:
    for number in range(3):
        world.ready(f"old-{number}", ttl=timedelta(seconds=1))
    world.clock.sleep(60)
    world.records.meanwhile["expired"] = lambda: world.clock.sleep(800)
    report = world.sweep()
    assert [outcome for _, _, _, outcome in found(report)] == [
        "dispatched",
        "deferred",
        "deferred",
    ]
    assert report.backlog == metrics_of(report)["sweep_backlog"] == 2


def test_only_one_deep_sweep_runs_at_a_time(world: World) -> None:
    world.reports.running = "another"
    skipped = deep(world)
    assert (skipped.status, skipped.detail) == ("skipped", "another deep sweep is running")
    assert deep(world, dry_run=True).status == "planned"


def set_service_status(world: World, environment_id: str, status: str) -> None:
    """Show the environment's service in this status in the inventory."""
    services = world.inventory.found_services
    services[:] = [
        replace(each, status=status) if each.name == f"fib-app-{environment_id}-service" else each for each in services
    ]


@pytest.mark.parametrize("status", ["DELETE_FAILED", "CREATE_FAILED"])
def test_a_service_in_a_failed_status_is_restored(world: World, status: str) -> None:
    before = world.ready("other")
    refresh_inventory(world)
    set_service_status(world, "other", status)
    world.clock.sleep(60)
    assert [(finding.kind, finding.outcome) for finding in deep(world).findings] == [("drifted", "dispatched")]
    assert world.record("other").generation == before.generation + 1


def test_a_service_with_an_operation_in_progress_is_left_alone(world: World) -> None:
    world.ready("other")
    refresh_inventory(world)
    set_service_status(world, "other", "OPERATION_IN_PROGRESS")
    world.clock.sleep(60)
    assert found(deep(world)) == []


def test_an_expired_environment_is_not_restored(world: World) -> None:
    world.ready("other", ttl=timedelta(seconds=30))
    refresh_inventory(world)
    world.inventory.found_services.pop()
    world.clock.sleep(60)
    world.records.meanwhile["expired"] = lambda: world.environments.adjust(
        ALICE, "other", Adjustment(labels={"a": "b"})
    )
    assert found(deep(world)) == [("other", "expired", "remove", "changed_meanwhile")]


def test_a_report_of_thousands_of_findings_fits_into_the_table(world: World) -> None:
    for number in range(3000):
        world.inventory.found_services.append(service(f"lost-{number}", world.clock(), {}))
    report = deep(world)
    assert report.finding_count == 3000
    assert len(report.findings) == 500
    assert len(str(report)) < 300_000


def test_a_new_removal_request_resets_the_removal_retries(world: World) -> None:
    record = fail_removal(world, "stuck")
    retried = desired.retry_removal(desired.retry_removal(record, world.clock()), world.clock())
    assert retried.removal_retries == 2
    failed = replace(retried, failure=record.failure)
    assert desired.remove(failed, "again", world.clock()).removal_retries == 0

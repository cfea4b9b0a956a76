"""A worker first cleans up after a dead one, and only what lies within the dead worker's expired lease."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.observed import MAX_ATTEMPTS, MAX_INVOCATIONS
from orchestrator.ports import Lock, PendingCreate, Service
from tests.unit.orchestrator.worlds import ALICE, HOST, World, request

SERVICE = PendingCreate(
    "urn:pulumi:s::fibfactory::aws:apprunner/service:Service::app", "aws:apprunner/service:Service", main=True
)
SECOND = PendingCreate("urn:pulumi:s::fibfactory::aws:apprunner/service:Service::more", "aws:apprunner/service:Service")
BUCKET = PendingCreate("urn:pulumi:s::fibfactory::aws:s3/bucket:Bucket::files", "aws:s3/bucket:Bucket")
PROVIDER = PendingCreate("urn:pulumi:s::fibfactory::pulumi:providers:aws::aws-provider", "pulumi:providers:aws")


class Killed(BaseException):
    """Ends a worker before it can write anything."""


def kill_worker(world: World, holder: str = "killed-worker") -> None:
    """Run a worker that claims the lease and is killed in the middle of its operation."""

    def kill() -> None:
        raise Killed

    world.cloud.during = kill
    with pytest.raises(Killed):
        world.work("test1", holder)


def expire_killed_workers_lease(world: World) -> None:
    """Request an environment, kill its first worker, and let the lease run out."""
    world.environments.put(ALICE, "test1", request())
    kill_worker(world)
    world.clock.sleep(16 * 60)


def test_no_worker_starts_before_the_dead_workers_lease_ends(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    kill_worker(world)
    world.clock.sleep(15 * 60)
    assert world.work("test1") is None


def test_the_light_sweep_finds_the_expired_lease_and_the_next_worker_finishes(world: World) -> None:
    expire_killed_workers_lease(world)
    assert world.sweep().findings[0].kind == "lease_expired"
    assert world.reconcile().status == "ready"
    assert world.record().expired_leases == () and world.record().attempts == 0


def test_a_lock_dated_inside_the_expired_lease_is_removed(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    kill_worker(world)
    world.clock.sleep(60)
    world.cloud.held_locks = [Lock("locks/1", world.clock(), "fibfactory@sandbox, process 9", HOST)]
    world.clock.sleep(15 * 60)
    assert world.reconcile().status == "ready"
    assert "break locks/1" in world.cloud.calls


@pytest.mark.parametrize(("minutes", "host"), [(-1, HOST), (17, HOST), (1, "laptop")])
def test_any_other_lock_is_kept_and_reported(world: World, minutes: int, host: str) -> None:
    world.environments.put(ALICE, "test1", request())
    lock = Lock("locks/1", world.clock() + timedelta(minutes=minutes), "ann@laptop, process 77", host)
    kill_worker(world)
    world.cloud.held_locks = [lock]
    world.clock.sleep(18 * 60)
    failure = world.reconcile().failure
    assert failure and failure.code == "stack_locked" and failure.final and "ann@laptop" in failure.message
    assert world.cloud.held_locks == [lock]


def test_the_locks_of_two_dead_workers_are_both_removed(world: World) -> None:
    expire_killed_workers_lease(world)
    first = Lock("locks/1", world.clock() - timedelta(minutes=10), "a", HOST)
    kill_worker(world, "second-killed-worker")
    world.cloud.held_locks = [first, Lock("locks/2", world.clock() + timedelta(minutes=1), "b", HOST)]
    world.clock.sleep(16 * 60)
    assert world.reconcile().status == "ready"
    assert [call for call in world.cloud.calls if call.startswith("break")] == ["break locks/1", "break locks/2"]


def test_a_half_created_service_is_removed_before_its_pending_create_is_cleared(world: World) -> None:
    expire_killed_workers_lease(world)
    world.cloud.pending = [SERVICE]
    world.cloud.services["test1"] = Service("arn:half-created", "RUNNING", "image", "SUCCEEDED")
    world.cloud.calls.clear()
    assert world.reconcile().status == "ready"
    assert world.cloud.calls == ["remove leftover", "clear pending creates", "deploy new"]


def test_a_pending_create_without_a_service_is_cleared(world: World) -> None:
    expire_killed_workers_lease(world)
    world.cloud.pending = [SERVICE, PROVIDER]
    world.cloud.calls.clear()
    assert world.reconcile().status == "ready"
    assert world.cloud.calls == ["clear pending creates", "deploy new"]


def test_a_half_created_service_is_removed_by_a_destroy(world: World) -> None:
    expire_killed_workers_lease(world)
    world.environments.remove(ALICE, "test1")
    world.cloud.pending = [SERVICE]
    world.cloud.services["test1"] = Service("arn:half-created", "RUNNING", "image", "SUCCEEDED")
    world.cloud.forgets = True
    assert world.reconcile().status == "destroyed"
    assert world.cloud.services == {}


def test_a_service_that_is_in_the_state_is_not_removed_as_half_created(world: World) -> None:
    expire_killed_workers_lease(world)
    world.cloud.pending = [SERVICE]
    world.cloud.services["test1"] = Service("arn:test1", "RUNNING", "image", "SUCCEEDED")
    world.cloud.known = {"arn:test1"}
    assert world.reconcile().status == "ready"
    assert "remove leftover" not in world.cloud.calls


@pytest.mark.parametrize("other", [BUCKET, SECOND])
def test_a_pending_create_that_cannot_be_looked_up_needs_an_operator(world: World, other: PendingCreate) -> None:
    expire_killed_workers_lease(world)
    world.cloud.pending = [SERVICE, other]
    world.cloud.services["test1"] = Service("arn:half-created", "RUNNING", "image", "SUCCEEDED")
    failure = world.reconcile().failure
    assert failure and failure.code == "needs_operator" and other.urn in failure.message
    assert world.cloud.pending == [SERVICE, other] and world.cloud.services


def test_a_half_created_service_that_cannot_be_deleted_is_retried_and_stays_pending(world: World) -> None:
    expire_killed_workers_lease(world)
    world.cloud.pending = [SERVICE]
    world.cloud.services["test1"] = Service("arn:half-created", "DELETE_FAILED", "image", "FAILED")
    world.cloud.undeletable = True
    failure = world.reconcile().failure
    assert failure and failure.code == "delete_failed" and not failure.final
    assert world.cloud.pending == [SERVICE]


def test_an_operation_that_kills_every_worker_ends_as_failed(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    for _ in range(MAX_ATTEMPTS):
        kill_worker(world)
        world.clock.sleep(16 * 60)
    environment = world.reconcile()
    assert environment.status == "failed" and environment.failure and environment.failure.code == "worker_died"
    world.environments.put(ALICE, "test1", request())
    assert world.reconcile().status == "ready"


def test_an_operation_that_no_invocation_can_finish_ends_as_failed(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    for _ in range(MAX_INVOCATIONS):
        assert world.record().outstanding
        world.interrupted()
        world.clock.sleep(120)
    failure = world.record().failure
    assert failure and failure.code == "too_many_invocations" and world.record().status == "failed"

"""Workers bring environments to their desired state, and reconciling again repairs failures (I1, I2, I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain import lease
from orchestrator.domain.desired import Adjustment
from orchestrator.domain.errors import LeaseLost, Terminal, Transient
from orchestrator.ports import Service
from tests.unit.orchestrator.worlds import ALICE, World, request

V2, V3 = "public.ecr.aws/a/b:v2", "public.ecr.aws/a/b:v3"


def test_a_new_environment_is_deployed_and_ready(world: World) -> None:
    environment = world.ready()
    assert environment.observed.url == "https://test1.example"
    assert environment.lease.holder is None and environment.lease.token == 1
    assert world.cloud.calls == ["deploy new"]
    assert world.records.kinds("test1") == ["requested", "deploying", "progress", "ready"]


def test_an_update_uses_the_existing_stack(world: World) -> None:
    world.ready()
    world.environments.put(ALICE, "test1", request(V2))
    environment = world.reconcile()
    assert environment.status == "ready"
    assert environment.observed.image == V2
    assert world.cloud.calls == ["deploy new", "deploy"]


def test_I1_a_duplicate_invocation_finds_nothing_to_do(world: World) -> None:
    world.ready()
    assert world.work("test1") is None
    assert world.cloud.calls == ["deploy new"]


def test_I2_a_second_worker_finds_the_lease_taken(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    second = []
    world.records.meanwhile["ready"] = lambda: second.append(world.work("test1", "worker-2"))
    world.work("test1")
    assert second == [None]
    assert world.cloud.calls == ["deploy new"]


def test_I2_a_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    world.environments.put(ALICE, "test1", request())

    def lose_the_lease() -> None:
        world.clock.sleep(17 * 60)
        world.work("test1", "worker-2")

    world.cloud.during = lose_the_lease
    with pytest.raises(LeaseLost):
        world.work("test1", "worker-1")
    assert world.record().lease.token == 2
    assert world.record().status == "ready"
    assert world.records.kinds("test1").count("ready") == 1


def test_an_expired_lease_is_claimed_with_the_next_token(world: World) -> None:
    environment = world.environments.put(ALICE, "test1", request())
    claimed = lease.claim(environment, "dead-worker", world.clock(), world.clock() + timedelta(minutes=16))
    assert claimed is not None
    world.records.write(environment, claimed)
    assert world.work("test1") is None
    world.clock.sleep(16 * 60)
    environment = world.reconcile()
    assert environment.status == "ready" and environment.lease.token == 2


def test_a_delete_during_a_create_stops_it_and_destroys(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.during = lambda: world.environments.remove(ALICE, "test1")
    assert world.reconcile().status == "destroyed"
    assert world.cloud.calls == ["deploy new", "destroy refresh"]
    assert world.records.kinds("test1")[-2:] == ["destroying", "destroyed"]


def test_I1_a_change_just_before_the_lease_is_released_is_carried_out(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.records.meanwhile["released"] = lambda: world.environments.put(ALICE, "test1", request(V2))
    environment = world.reconcile()
    assert environment.status == "ready"
    assert environment.observed.image == V2
    assert world.cloud.calls == ["deploy new", "deploy"]


def test_of_several_requests_during_a_deploy_only_the_newest_is_deployed(world: World) -> None:
    world.environments.put(ALICE, "test1", request())

    def put_twice() -> None:
        world.environments.put(ALICE, "test1", request(V2))
        world.environments.put(ALICE, "test1", request(V3))

    world.records.meanwhile["ready"] = put_twice
    assert world.reconcile().observed.image == V3
    assert world.cloud.calls == ["deploy new", "deploy"]


def test_a_delete_between_the_decision_and_its_first_write_is_carried_out(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.records.meanwhile["deploying"] = lambda: world.environments.remove(ALICE, "test1")
    assert world.reconcile().status == "destroyed"
    assert world.cloud.calls == ["destroy"]


def test_the_operation_after_a_failed_one_refreshes_the_state(world: World) -> None:
    world.ready()
    world.environments.put(ALICE, "test1", request(V2))
    world.cloud.errors = [Transient("Throttled.", "aws_unavailable")]
    world.work("test1")
    world.clock.sleep(30)
    assert world.reconcile().status == "ready"
    world.environments.put(ALICE, "test1", request(V3))
    world.work("test1")
    assert world.cloud.calls == ["deploy new", "deploy", "deploy refresh", "deploy"]


def test_a_service_removed_outside_the_api_is_created_again(world: World) -> None:
    world.ready()
    world.cloud.services.clear()
    world.environments.put(ALICE, "test1", request(V2))
    assert world.reconcile().status == "ready"
    assert world.cloud.calls == ["deploy new", "deploy refresh"]


def test_a_create_while_destroying_waits_for_the_destroy_and_then_deploys(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    world.records.meanwhile["destroyed"] = lambda: world.environments.put(ALICE, "test1", request())
    assert world.reconcile().status == "ready"
    assert world.cloud.calls == ["deploy new", "destroy", "deploy new"]


def test_a_terminal_failure_is_final_at_once_and_keeps_its_reason(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("No room in App Runner.", "quota")]
    environment = world.reconcile()
    assert environment.status == "failed"
    assert environment.failure is not None
    assert (environment.failure.code, environment.failure.message) == ("quota", "No room in App Runner.")
    assert environment.lease.holder is None


def test_a_transient_failure_is_tried_five_times_with_backoff(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Transient("Throttled.", "aws_unavailable")] * 5
    pauses = []
    for _ in range(4):
        environment = world.reconcile()
        assert environment.retry_at is not None and environment.status == "pending"
        pauses.append((environment.retry_at - world.clock()).total_seconds())
        world.clock.now = environment.retry_at
    assert pauses == [30, 60, 120, 240]
    environment = world.reconcile()
    assert environment.status == "failed" and environment.attempts == 5


def test_a_failed_environment_is_deployed_when_requested_again(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("Bad image.", "create_failed")]
    world.work("test1")
    world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:good"))
    environment = world.reconcile()
    assert environment.status == "ready" and environment.failure is None


def test_a_service_that_never_ran_is_removed_before_the_next_deploy(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.services["test1"] = Service("arn:test1", "CREATE_FAILED", "image", "FAILED", "1")
    assert world.reconcile().status == "ready"
    assert world.cloud.calls == ["destroy refresh", "deploy new"]


def test_a_rolled_back_update_is_a_failure_although_the_service_runs(world: World) -> None:
    world.ready()
    world.cloud.last_operation = "ROLLBACK_SUCCEEDED"
    world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:bad"))
    environment = world.reconcile()
    assert environment.failure is not None
    assert environment.failure.code == "rolled_back"
    assert environment.observed.generation == 1
    world.cloud.last_operation = "SUCCEEDED"
    world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:bad"))
    world.work("test1")
    assert world.cloud.calls[-1] == "deploy refresh"


def test_I1_a_request_made_while_the_previous_one_failed_is_carried_out(world: World) -> None:
    world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:bad"))
    world.cloud.errors = [Terminal("Bad image.", "create_failed")]
    world.records.meanwhile["failed"] = lambda: world.environments.put(ALICE, "test1", request(V2))
    environment = world.reconcile()
    assert environment.status == "ready"
    assert environment.observed.image == V2


def test_I1_a_removal_requested_while_the_deploy_failed_is_carried_out(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.errors = [Terminal("No room.", "quota")]
    world.records.meanwhile["failed"] = lambda: world.environments.remove(ALICE, "test1")
    assert world.reconcile().status == "destroyed"


def test_after_a_rollback_the_previous_spec_is_ready_without_a_new_operation(world: World) -> None:
    world.ready()
    rolled_back = Service("arn:test1", "RUNNING", request().spec.image, "ROLLBACK_SUCCEEDED", "operation-9")
    world.environments.put(ALICE, "test1", request(V2))
    world.cloud.errors = [Terminal("Rolled back.", "rolled_back")]
    world.work("test1")
    world.cloud.services["test1"] = rolled_back
    world.cloud.nothing_to_do = True
    world.environments.put(ALICE, "test1", request())
    assert world.reconcile().status == "ready"


def test_an_update_that_left_the_old_image_running_is_not_ready(world: World) -> None:
    world.ready()
    world.cloud.stuck_image = request().spec.image
    world.environments.put(ALICE, "test1", request(V2))
    environment = world.reconcile()
    assert environment.failure is not None
    assert environment.status == "updating" and environment.failure.code == "not_deployed"
    world.cloud.stuck_image = None
    world.clock.sleep(30)
    assert world.work("test1") is not None
    assert world.record().status == "ready"
    assert world.cloud.calls[-1] == "deploy refresh"


def test_no_operation_starts_after_the_invocations_deadline(world: World) -> None:
    world.environments.put(ALICE, "test1", request())

    def put_at_the_last_moment() -> None:
        world.environments.put(ALICE, "test1", request(V2))
        world.clock.sleep(14 * 60)

    world.records.meanwhile["ready"] = put_at_the_last_moment
    environment = world.reconcile()
    assert environment.status == "updating" and environment.lease.holder is None
    assert world.cloud.calls == ["deploy new"]
    assert world.dispatcher.asked[-1] == "test1"


def test_an_unexpected_error_releases_the_lease_even_if_the_record_changed(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.records.meanwhile["released"] = lambda: world.environments.adjust(ALICE, "test1", Adjustment(protected=True))

    def broken() -> None:
        raise ZeroDivisionError

    world.cloud.during = broken
    with pytest.raises(ZeroDivisionError):
        world.work("test1")
    assert world.record().lease.holder is None
    assert world.record().protected


def test_an_environment_is_not_ready_until_its_health_check_passes(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.unhealthy = "answered 302"
    world.cloud.while_asked = lambda: world.clock.sleep(120)
    environment = world.reconcile()
    assert environment.failure is not None
    assert environment.failure.code == "unhealthy"
    assert "answered 302" in environment.failure.message


def test_I5_a_receipt_says_what_was_checked_and_what_cannot_be_seen(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    environment = world.reconcile()
    assert environment.receipt is not None
    assert environment.receipt.checked == ("services", "stacks")
    assert environment.receipt.cannot_see == ("other accounts",)
    assert ALICE.owner in environment.receipt.reason


def test_I5_a_service_left_by_the_engine_is_removed_before_the_receipt(world: World) -> None:
    world.ready()
    world.cloud.forgets = True
    world.destroy()
    assert world.cloud.calls[-2:] == ["destroy", "remove leftover"]
    assert world.cloud.services == {}


def test_I5_a_removal_is_retried_while_the_service_is_still_found(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    world.cloud.forgets = True
    world.cloud.undeletable = True
    environment = world.reconcile()
    assert environment.failure is not None
    assert environment.status == "destroying" and environment.failure.code == "delete_failed"
    assert environment.retry_at is not None


def test_I5_no_receipt_is_written_while_the_verification_finds_leftovers(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    world.cloud.leftovers = ["arn:aws:sqs:us-west-2:1:queue"]
    environment = world.reconcile()
    assert environment.failure is not None and environment.receipt is None
    assert environment.failure.code == "leftovers" and "sqs" in environment.failure.message
    world.cloud.leftovers.clear()
    world.clock.sleep(31)
    world.work("test1")
    assert world.record().receipt


def test_an_operation_longer_than_the_invocation_continues_in_the_next(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    environment = world.interrupted()
    assert environment.status == "pending" and environment.lease.holder is None
    assert environment.continuations == 1
    assert world.dispatcher.asked == ["test1", "test1"]
    finished = world.reconcile()
    assert finished.status == "ready"


def test_an_unexpected_error_is_raised_and_recorded_without_its_text(world: World) -> None:
    world.environments.put(ALICE, "test1", request())

    def broken() -> None:
        raise ValueError("hunter2")

    world.cloud.during = broken
    with pytest.raises(ValueError, match="hunter2"):
        world.work("test1")
    record = world.record()
    assert record.failure is not None and record.failure.code == "internal" and not record.failure.final
    assert "ValueError" in record.failure.message
    said = [
        record.failure.message,
        *(event.message for event in world.environments.events(ALICE, "test1", None, 100).items),
    ]
    assert not any("hunter2" in text for text in said)
    assert record.lease.holder is None


def test_only_the_holder_of_the_token_may_write(world: World) -> None:
    environment = world.environments.put(ALICE, "test1", request())
    claimed = lease.claim(environment, "a", world.clock(), world.clock() + timedelta(minutes=1))
    assert claimed is not None
    with pytest.raises(LeaseLost):
        lease.require_lease(claimed, 0)
    with pytest.raises(LeaseLost):
        lease.require_lease(replace(claimed, lease=replace(claimed.lease, holder=None)), 1)

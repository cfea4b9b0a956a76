"""An environment's status and due time follow from its record alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.environment import (
    REDISPATCH_AFTER,
    Environment,
    Failure,
    Lease,
    Observed,
    Operation,
    Receipt,
    Spec,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW = Environment("test1", "arn:alice", NOW, NOW, Spec("public.ecr.aws/a/b"), dispatched_at=NOW)
READY = replace(NEW, observed=Observed(generation=1, url="https://x"))
FAILED = Failure(Operation.DEPLOY, "quota", "No room.", final=True, at=NOW)
RECEIPT = Receipt(NOW, (), (), "removed", "image")


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        (NEW, "pending"),
        (replace(NEW, operation=Operation.DEPLOY), "deploying"),
        (READY, "ready"),
        (replace(READY, generation=2), "updating"),
        (replace(NEW, failure=FAILED), "failed"),
        (replace(NEW, failure=replace(FAILED, final=False)), "pending"),
        (replace(READY, present=False, generation=2), "destroying"),
        (replace(READY, present=False, generation=2, failure=FAILED), "failed"),
        (replace(NEW, present=False, receipt=RECEIPT), "destroyed"),
    ],
)
def test_the_status_follows_from_the_record(environment: Environment, status: str) -> None:
    assert environment.status == status


def test_a_request_that_no_worker_picked_up_is_due_for_redispatch() -> None:
    assert NEW.due_at == NOW + REDISPATCH_AFTER


def test_a_settled_environment_is_due_when_it_expires() -> None:
    expires = NOW + timedelta(hours=12)
    assert READY.due_at is None
    assert replace(READY, expires_at=expires).due_at == expires


def test_a_protected_environment_is_never_due_for_expiry() -> None:
    protected = replace(READY, expires_at=NOW, protected=True)
    assert protected.due_at is None
    assert not protected.expired(NOW + timedelta(days=1))


def test_an_environment_under_a_lease_is_due_when_the_lease_ends() -> None:
    held = replace(NEW, lease=Lease(1, "worker", NOW, NOW + timedelta(minutes=16)))
    assert held.due_at == NOW + timedelta(minutes=16)
    assert not held.lease_free(NOW + timedelta(minutes=15))
    assert held.lease_free(NOW + timedelta(minutes=16))


def test_a_failed_attempt_is_due_at_its_retry_time() -> None:
    assert replace(NEW, retry_at=NOW + timedelta(seconds=30)).due_at == NOW + timedelta(seconds=30)


def test_a_tombstone_and_a_final_failure_are_never_due() -> None:
    assert replace(NEW, present=False, receipt=RECEIPT).due_at is None
    assert replace(NEW, failure=FAILED).due_at is None


def test_an_unreleased_lease_does_not_make_a_settled_environment_due() -> None:
    expired = Lease(1, "worker", NOW)
    assert replace(READY, lease=expired).due_at is None
    assert replace(NEW, present=False, receipt=RECEIPT, lease=expired).due_at is None
    assert replace(READY, lease=expired, expires_at=NOW + timedelta(hours=1)).due_at == NOW + timedelta(hours=1)

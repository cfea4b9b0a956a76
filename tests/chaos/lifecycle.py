"""The life of an environment in steps, how each step should end, and how a disturbed one is healed.

The rule: only the light sweep heals, and each sweep that acts on the environment is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from fibfactory_cli.client import ApiError, Client
from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.sweeps import SweepReport
from tests.chaos.platform_fixture import PlatformFixture, now
from tests.waiting import eventually

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"
V2 = "public.ecr.aws/fibfactory/fibservice:v2"
AS_DESIRED = "as desired"
POLL_SECONDS = 0.25
_REQUEST_TRIES = 20
_REST_SECONDS = 300.0
_HEALING_SECONDS = 600.0
_MOST_SWEEPS = 6
_PICKUP_SECONDS = 15.0

Sweep = Callable[[], SweepReport | None]
"""Runs the light sweep once. Returns its report; None when it has none: it failed, or found nothing."""


@dataclass(frozen=True)
class Step:
    """One request, and the status that it asks for."""

    name: str
    method: str
    suffix: str
    body: Any
    wanted: Status

    def send(self, caller: Client, environment_id: str) -> bool:
        """Whether the request was accepted. Without an answer it may have been."""
        try:
            caller.call(self.method, f"/environments/{environment_id}{self.suffix}", self.body).checked()
        except ApiError as error:
            if error.status and error.status < 500:
                raise
            return False
        return True


STEPS = (
    Step("create", "PUT", "", {"image": LATEST, "ttl": "2h"}, Status.READY),
    Step("update", "PUT", "", {"image": V2, "ttl": "2h"}, Status.READY),
    Step("pause", "POST", "/pause", None, Status.PAUSED),
    Step("resume", "POST", "/resume", None, Status.READY),
    Step("destroy", "DELETE", "", None, Status.DESTROYED),
)


@dataclass(frozen=True)
class Healing:
    """How a step ended: after how many sweeps and seconds, how, and what is wrong then."""

    sweeps: int
    seconds: float
    ended: str
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.ended == AS_DESIRED and not self.wrong

    def __str__(self) -> str:
        return f"{'; '.join([self.ended, *self.wrong])}, {self.sweeps} sweeps, {self.seconds:.0f} s"


def perform(fixture: PlatformFixture, step: Step, environment_id: str, sweep: Sweep) -> Healing:
    """Send the step's request, and wait for the end of the step."""
    send(fixture, step, environment_id)
    return heal(fixture, step, environment_id, sweep)


def send(fixture: PlatformFixture, step: Step, environment_id: str) -> None:
    """Send the request until it is accepted, as a caller does who gets no answer."""
    for _ in range(_REQUEST_TRIES):
        if step.send(fixture.caller, environment_id):
            return
        time.sleep(0.5)
    raise TimeoutError(f"{step.name} of {environment_id} was not accepted in {_REQUEST_TRIES} tries")


def heal(fixture: PlatformFixture, step: Step, environment_id: str, sweep: Sweep) -> Healing:
    """Wait until the environment is as the step asked or has failed for good; sweep whenever it is due."""
    started, sweeps = time.monotonic(), 0

    def ended(how: str, *wrong: str) -> Healing:
        return Healing(sweeps, round(time.monotonic() - started, 1), how, wrong)

    while True:
        try:
            record = eventually(
                partial(_at_rest, fixture, environment_id), "it to come to rest", _REST_SECONDS, POLL_SECONDS
            )
        except TimeoutError as error:
            return ended(f"stuck: {error}")
        if record.failed_permanently:
            assert record.failure is not None
            return ended(f"failed: {record.failure.code}: {record.failure.message}")
        if not _due(record):
            break
        if sweeps == _MOST_SWEEPS or time.monotonic() - started > _HEALING_SECONDS:
            return ended(f"stuck after {sweeps} sweeps: {record.failure}")
        report = sweep()
        if report and any(finding.environment == environment_id for finding in report.findings):
            sweeps += 1
            _wait_for_worker(fixture, record)
        else:
            time.sleep(1)  # another sweep is running, or the one that died still has the place
    if record.status is not step.wanted:
        return ended(f"lost: it is {record.status}")
    return ended(AS_DESIRED, *_differences(fixture, record))


def _differences(fixture: PlatformFixture, record: Environment) -> list[str]:
    """What is not as the record says, when nothing is being done."""
    found = [f"left in the state: {each}" for each in fixture.left_in_state(record.id)]
    services = fixture.services(record.id)
    if record.destroyed:
        found += [f"leaked: {arn}" for arn in services]
        found += ["its stack is still in the state"] if fixture.has_state(record.id) else []
    elif services != [record.observed.service_arn]:
        found.append(f"leaked or lost: App Runner has {services}, the record {record.observed.service_arn}")
    return found


def _at_rest(fixture: PlatformFixture, environment_id: str) -> Environment | None:
    """The record once nothing more happens to it by itself: no worker holds it, and it is settled, failed, or due."""
    record = fixture.record(environment_id)
    if record is None:
        raise TimeoutError("a record, and there is none")
    if _due(record):
        return record
    return None if record.outstanding or not record.lease_free(now()) else record


def _wait_for_worker(fixture: PlatformFixture, before: Environment) -> None:
    """Give the worker that the sweep asked for time to start: on AWS the next sweep is minutes away."""

    def claimed() -> bool:
        record = fixture.record(before.id)
        return record is not None and record.lease.token > before.lease.token

    with suppress(TimeoutError):
        eventually(claimed, "a worker", _PICKUP_SECONDS, POLL_SECONDS)


def _due(record: Environment) -> bool:
    return record.due_at is not None and record.due_at <= now()

"""The life of an environment in steps, what each should end as, and how it is healed when it was disturbed.

Rule: only the light sweep heals, and each pass of it that acts on the environment is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fibfactory_cli.client import ApiError, Client
from orchestrator.domain.environment import Environment, Status
from tests.chaos.platform_fixture import Stage, now

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"
V2 = "public.ecr.aws/fibfactory/fibservice:v2"
_A_REQUEST_IS_TRIED = 20
_REST_SECONDS = 300.0
_HEALING_SECONDS = 600.0
_MOST_SWEEPS = 6
_TO_COME_SECONDS = 15.0

Sweep = Callable[[], Mapping[str, Any]]
"""One pass of the light sweep, and its report."""


@dataclass(frozen=True)
class Step:
    """One request and the status that it wants."""

    name: str
    method: str
    suffix: str
    body: Any
    wanted: Status

    def ask(self, caller: Client, environment_id: str) -> bool:
        """Whether the request was accepted. Nobody knows when nothing answered."""
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
    """How a step ended: after how many passes of the sweep, in how many seconds, as what."""

    sweeps: int
    seconds: float
    ended: str
    wrong: tuple[str, ...]

    @property
    def well(self) -> bool:
        return self.ended == "as desired" and not self.wrong


def asked(stage: Stage, step: Step, environment_id: str) -> None:
    """Ask until the request is accepted, as a caller would who gets no answer."""
    for _ in range(_A_REQUEST_IS_TRIED):
        if step.ask(stage.caller, environment_id):
            return
        time.sleep(0.5)
    raise TimeoutError(f"{step.name} of {environment_id} was not accepted in {_A_REQUEST_IS_TRIED} tries")


def healed(stage: Stage, step: Step, environment_id: str, sweep: Sweep) -> Healing:
    """Wait until the environment is as the step wants it or has failed for good; what is due meanwhile is for the sweep."""
    started, sweeps = time.monotonic(), 0

    def ended(how: str, *wrong: str) -> Healing:
        return Healing(sweeps, time.monotonic() - started, how, wrong)

    while True:
        try:
            record = stage.until(lambda: _at_rest(stage, environment_id), _REST_SECONDS, "it to come to rest")
        except TimeoutError as error:
            return ended(f"stuck: {error}")
        if record.failed_permanently:
            return ended(f"failed: {record.failure.code}: {record.failure.message}")
        if not _due(record):
            break
        if sweeps == _MOST_SWEEPS or time.monotonic() - started > _HEALING_SECONDS:
            return ended(f"stuck after {sweeps} sweeps: {record.failure}")
        if any(each["environment"] == environment_id for each in sweep().get("steps", ())):
            sweeps += 1
            _picked_up(stage, record)
        else:
            time.sleep(1)  # another sweep is at it, or died with the right to sweep
    if record.status is not step.wanted:
        return ended(f"lost: it is {record.status}")
    return ended("as desired", *wrong(stage, record))


def wrong(stage: Stage, record: Environment) -> list[str]:
    """What is not as the record says, at rest."""
    found = [f"left in the state: {each}" for each in stage.left_in_state(record.id)]
    services = stage.services(record.id)
    if record.destroyed:
        found += [f"leaked: {arn}" for arn in services]
        found += ["its stack is still in the state"] if stage.has_state(record.id) else []
    elif services != [record.observed.service_arn]:
        found.append(f"leaked or lost: App Runner has {services}, the record {record.observed.service_arn}")
    return found


def _at_rest(stage: Stage, environment_id: str) -> Environment | None:
    """The record when nothing more happens to it by itself: nobody works on it, and it is as desired, given up, or due."""
    record = stage.record(environment_id)
    if record is None:
        raise TimeoutError("a record, and there is none")
    if _due(record):
        return record
    return None if record.outstanding or not record.lease_free(now()) else record


def _picked_up(stage: Stage, before: Environment) -> None:
    """Give the worker that the sweep asked for the time to come: on AWS the next sweep is minutes away."""

    def claimed() -> bool:
        record = stage.record(before.id)
        return record is not None and record.lease.token > before.lease.token

    with suppress(TimeoutError):
        stage.until(claimed, _TO_COME_SECONDS, "a worker")


def _due(record: Environment) -> bool:
    return record.due_at is not None and record.due_at <= now()

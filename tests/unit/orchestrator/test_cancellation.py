"""An operation stops at its deadline even if the record can't be read, and when the record says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.ports import StopSignal
from orchestrator.worker.cancellation import cancellation_monitor
from tests.fakes.records import FakeRecords
from tests.unit.orchestrator.worlds import ALICE, World


@contextmanager
def monitored(world: World, seconds: float, read: Callable[[], object] = lambda: None) -> Iterator[StopSignal]:
    """An update that may take so many seconds; each read of its record does this first."""

    class Records(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            read()
            return super().get(environment_id)

    target, records = world.ready(), Records()
    records.records = world.records.records
    stop_at = world.clock() + timedelta(seconds=seconds)
    limits = InvocationLimits(stop_at, stop_at, stop_at, grace=1.0)
    with cancellation_monitor(replace(world.ports, records=records), target, Operation.UPDATE, limits, 0.01) as stop:
        yield stop


def refuse() -> None:
    raise ValueError("no such status")


def test_an_operation_stops_at_its_deadline_when_the_record_cannot_be_read(world: World) -> None:
    with monitored(world, 0.2, refuse) as stop:
        assert not stop.is_set()
        assert stop.wait(3)


def test_a_table_that_does_not_answer_delays_neither_the_stop_nor_the_end(world: World) -> None:
    answers = threading.Event()
    began = time.monotonic()
    with monitored(world, 0.2, lambda: answers.wait(30)) as stop:
        assert stop.wait(3)
    took = time.monotonic() - began
    answers.set()
    assert took < 5


def test_an_operation_stops_when_the_environment_is_to_be_removed(world: World) -> None:
    with monitored(world, 3600) as stop:
        assert not stop.wait(0.1)
        world.environments.remove(ALICE, "test1")
        assert stop.wait(3)


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_a_signal_without_time_is_set_from_the_start(seconds: float) -> None:
    assert StopSignal(grace=1.0, seconds=seconds).is_set()


def test_a_signal_without_a_deadline_waits_as_long_as_it_is_told(world: World) -> None:
    stop = StopSignal(grace=1.0)
    assert not stop.wait(0.01)
    threading.Timer(0.05, stop.set).start()
    assert stop.wait()

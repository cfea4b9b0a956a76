"""A run as text: who did what when, and what a write changed in a record.

The rule: the text is made only when it is read, and is always the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from orchestrator.domain.environment import Environment, Lease, Spec
from tests.simulation.scenario import Scenario
from tests.simulation.scheduler import seconds_of
from tests.simulation.simulation import RunResult

_UNINTERESTING = ("id", "owner", "version", "updated_at", "labels", "ttl")
_SHOWN_WHEN_NEW = ("spec", "generation", "present", "expires_at", "protected")


def lines(scenario: Scenario, result: RunResult) -> Iterator[str]:
    """The history, one line for each entry, and the violation at the end."""
    yield f"seed {scenario.seed}: invocations last {scenario.hard_limit:.0f} s, no faults after {scenario.active_until:.0f} s"
    yield "may go wrong: " + (", ".join(sorted(scenario.rates)) or "nothing")
    records: dict[str, Environment] = {}
    for at, who, what, detail in result.history:
        yield f"{_time(at)}  {who:<15} {what}{_detail(detail, records)}"
    yield "violated {}: {}".format(*result.violation) if result.violation else "all invariants hold"


def _detail(detail: Any, records: dict[str, Environment]) -> str:
    if isinstance(detail, Environment):
        changes, records[detail.id] = _changes(records.get(detail.id), detail), detail
        return f" {detail.id}: {changes}"
    if isinstance(detail, tuple):
        detail = " ".join(filter(None, map(str, detail)))
    if isinstance(detail, BaseException):
        detail = f"{type(detail).__name__} {getattr(detail, 'code', '')}: {getattr(detail, 'message', detail)}"
    return f" {detail}" if detail else ""


def _changes(before: Environment | None, after: Environment) -> str:
    """What this write changes, compared with the last one that was tried."""
    changed = {
        each.name: getattr(after, each.name)
        for each in fields(after)
        if each.name not in _UNINTERESTING
        and (
            each.name in _SHOWN_WHEN_NEW if before is None else getattr(before, each.name) != getattr(after, each.name)
        )
    }
    return f"[v{after.version}] " + ", ".join(f"{name}={_shown(value)}" for name, value in changed.items())


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return _time(seconds_of(value))
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, Lease):
        return f"{value.token} of {value.holder or 'no worker'}" + (
            f" until {_shown(value.until)}" if value.until else ""
        )
    if isinstance(value, Spec):
        return value.image.rsplit(":", 1)[-1]
    if is_dataclass(value):
        inner = {each.name: getattr(value, each.name) for each in fields(value)}
        return "(" + ", ".join(f"{name}={_shown(each)}" for name, each in inner.items() if each) + ")"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_shown, value)) + ")"
    return str(value)


def _time(seconds: float) -> str:
    sign, whole = "-" if seconds < 0 else "", timedelta(seconds=round(abs(seconds), 2))
    return f"{sign}{str(whole)[:10]:<10}"

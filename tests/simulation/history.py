"""A run told in words: who did what when, and what a write changed in a record.

The rule: told from what was remembered, only when somebody wants to read it, and always the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from orchestrator.domain.environment import Environment, Lease
from tests.simulation.scenario import Scenario
from tests.simulation.scheduler import START
from tests.simulation.world import Entry

_DULL = ("version", "updated_at", "labels", "ttl")


def lines(scenario: Scenario, history: tuple[Entry, ...], violation: tuple[str, str] | None) -> Iterator[str]:
    """The history, one line each, and what it ended with."""
    yield f"seed {scenario.seed}: invocations last {scenario.hard_limit:.0f} s, all is quiet after {scenario.active_until:.0f} s"
    yield "may go wrong: " + (", ".join(sorted(scenario.rates)) or "nothing")
    records: dict[str, Environment] = {}
    for at, who, what, about in history:
        yield f"{_moment(at)}  {who:<15} {what}{_about(about, records)}"
    yield f"violated {violation[0]}: {violation[1]}" if violation else "all invariants hold"


def _about(about: Any, records: dict[str, Environment]) -> str:
    if isinstance(about, Environment):
        return f" {about.id}: {_changes(records.get(about.id), about, records)}"
    if isinstance(about, tuple):
        about = " ".join(filter(None, map(str, about)))
    if isinstance(about, BaseException):
        about = f"{type(about).__name__} {getattr(about, 'code', '')}: {getattr(about, 'message', about)}"
    return f" {about}" if about else ""


def _changes(before: Environment | None, after: Environment, records: dict[str, Environment]) -> str:
    """What this write is to change, compared with the last one that was tried."""
    records[after.id] = after
    values = {each.name: getattr(after, each.name) for each in fields(after)}
    changed = {
        name: value
        for name, value in values.items()
        if name not in _DULL and name not in ("id", "owner") and (before is None or getattr(before, name) != value)
    }
    if before is None:
        changed = {name: changed[name] for name in ("spec", "generation", "present", "expires_at", "protected")}
    return f"[v{after.version}] " + ", ".join(f"{name}={_shown(value)}" for name, value in changed.items())


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return _moment((value - START).total_seconds())
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, Lease):
        return f"{value.token} of {value.holder or 'nobody'}" + (f" until {_shown(value.until)}" if value.until else "")
    if hasattr(value, "image") and hasattr(value, "port"):
        return str(value.image.rsplit(":", 1)[-1])
    if hasattr(value, "__dataclass_fields__"):
        inner: Mapping[str, Any] = {each.name: getattr(value, each.name) for each in fields(value)}
        return "(" + ", ".join(f"{name}={_shown(each)}" for name, each in inner.items() if each) + ")"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_shown, value)) + ")"
    return str(value)


def _moment(seconds: float) -> str:
    sign, whole = "-" if seconds < 0 else "", timedelta(seconds=round(abs(seconds), 2))
    return f"{sign}{str(whole)[:10]:<10}"

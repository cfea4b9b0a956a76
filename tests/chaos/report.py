"""The figures of the runs, as tables for people and as JSON for machines.

The rule: every figure is counted from the kills and trials themselves, and each that did not end well is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.fault_plans import Trial
from tests.chaos.kills import Kill
from tests.chaos.lifecycle import AS_DESIRED, Healing

MOST_SWEEPS = 2
"""The criterion: whatever was killed is healed within so many sweeps."""

_WIDE = 130
_ENDINGS = {"as_desired": AS_DESIRED, "failed": "failed", "stuck": "stuck", "lost": "lost"}
"""Each column, and how the endings begin that it counts."""


def of_kills(kills: Sequence[Kill], seconds: float, left: Sequence[str]) -> dict[str, Any]:
    """The figures: of all, by step and by target. `left` is what App Runner has when all environments are destroyed."""
    groups: dict[str, list[Kill]] = {}
    for key in (lambda kill: kill.step, lambda kill: str(kill.point.target)):
        _group(groups, kills, key)
    return {
        "kind": "kills",
        "seconds": round(seconds, 1),
        "left_in_the_end": list(left),
        **_count(kills),
        "by_group": {name: _count(each) for name, each in groups.items()},
        "not_ok": [_kill(kill) for kill in kills if not (kill.healing.ok and kill.healing.sweeps <= MOST_SWEEPS)],
        "points": [_kill(kill) for kill in kills],
    }


def of_trials(trials: Sequence[Trial], seconds: float, left: Sequence[str], skipped: Sequence[str]) -> dict[str, Any]:
    """The figures of the fault plans. `skipped` are those that this machine does not allow."""
    plans: dict[str, list[Trial]] = {}
    _group(plans, trials, lambda trial: trial.plan)
    return {
        "kind": "faults",
        "seconds": round(seconds, 1),
        "left_in_the_end": list(left),
        "not_run": ", ".join(skipped) or "nothing",
        "steps": len(trials),
        "as_desired": sum(trial.healing.ok for trial in trials),
        "failed_with_a_reason": sum(not trial.healing.ok and trial.ok for trial in trials),
        "by_group": {name: _count_trials(each) for name, each in plans.items()},
        "not_ok": [_trial(trial) for trial in trials if not trial.ok],
        "trials": [_trial(trial) for trial in trials],
    }


def ok(figures: Mapping[str, Any]) -> bool:
    """Whether every criterion is met."""
    return not figures["not_ok"] and not figures["left_in_the_end"]


def show(figures: Mapping[str, Any], console: Console) -> None:
    """Print the figures."""
    table = Table(title=f"{figures['kind']}, {figures['seconds']:.0f} s", title_justify="left")
    rows = dict(figures["by_group"])
    columns = list(next(iter(rows.values()), {}))
    if figures["kind"] == "kills":
        rows["all"] = figures
    for column in ("", *columns):
        table.add_column(column.replace("_", " "), justify="right" if column else "left", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    Console(width=max(console.width, _WIDE), highlight=False).print(table)
    for each in figures["not_ok"]:
        console.print(f"[red]did not end well[/] {each}", markup=True)
    console.print(f"left in App Runner in the end: {figures['left_in_the_end'] or 'nothing'}")
    if "not_run" in figures:
        console.print(f"not run here: {figures['not_run']}")


def _group(groups: dict[str, list[Any]], items: Sequence[Any], key: Callable[[Any], str]) -> None:
    for item in items:
        groups.setdefault(key(item), []).append(item)


def _count(kills: Sequence[Kill]) -> dict[str, Any]:
    healings = [kill.healing for kill in kills]
    return {
        "kills": len(kills),
        "deaths": sum(len(kill.deaths) for kill in kills),
        **{column: sum(each.ended.startswith(text) for each in healings) for column, text in _ENDINGS.items()},
        "leaked": sum(any("leaked" in wrong for wrong in each.wrong) for each in healings),
        "strays": sum(kill.strays for kill in kills),
        "most_sweeps": max((each.sweeps for each in healings), default=0),
        "median_seconds": round(median([each.seconds for each in healings] or [0]), 1),
    }


def _count_trials(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "steps": len(trials),
        "faults": sum(trial.faults for trial in trials),
        "as_desired": sum(trial.healing.ended == AS_DESIRED for trial in trials),
        "failed_then_retried": sum(trial.retried is not None for trial in trials),
        "most_sweeps": max(trial.healing.sweeps for trial in trials),
    }


def _kill(kill: Kill) -> dict[str, Any]:
    return {
        "environment": kill.environment,
        "step": kill.step,
        "point": str(kill.point),
        "deaths": kill.deaths,
        **_healing(kill.healing),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    shown = {"plan": trial.plan, "step": trial.step, "faults": trial.faults, **_healing(trial.healing)}
    return shown | ({"retried": _healing(trial.retried)} if trial.retried else {})


def _healing(healing: Healing) -> dict[str, Any]:
    return {
        "ended": healing.ended,
        "wrong": list(healing.wrong),
        "sweeps": healing.sweeps,
        "seconds": round(healing.seconds, 1),
    }

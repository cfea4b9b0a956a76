"""The figures of the runs, as tables for people and as JSON for machines.

The rule: every figure is counted from the kills and trials themselves, and each that did not end well is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.chaos.fault_plans import Trial
from tests.chaos.kills import Kill
from tests.chaos.lifecycle import AS_DESIRED
from tests.figures import console, show_rows

MOST_SWEEPS = 2
"""The criterion: whatever was killed is healed within so many sweeps."""

_ENDINGS = {"as_desired": AS_DESIRED, "failed": "failed", "stuck": "stuck", "lost": "lost"}
"""Each column, and how the endings begin that it counts."""


def of_kills(kills: Sequence[Kill], seconds: float, left: Sequence[str]) -> dict[str, Any]:
    """The figures: of all, by step and by target. `left` is what App Runner has when all environments are destroyed."""
    groups = _grouped(kills, lambda kill: kill.step) | _grouped(kills, lambda kill: str(kill.point.target))
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
    return {
        "kind": "faults",
        "seconds": round(seconds, 1),
        "left_in_the_end": list(left),
        "not_run": ", ".join(skipped) or "nothing",
        "steps": len(trials),
        "as_desired": sum(trial.healing.ok for trial in trials),
        "failed_with_a_reason": sum(not trial.healing.ok and trial.ok for trial in trials),
        "by_group": {plan: _count_trials(each) for plan, each in _grouped(trials, lambda trial: trial.plan).items()},
        "not_ok": [_trial(trial) for trial in trials if not trial.ok],
        "trials": [_trial(trial) for trial in trials],
    }


def ok(figures: Mapping[str, Any]) -> bool:
    """Whether every criterion is met."""
    return not figures["not_ok"] and not figures["left_in_the_end"]


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures."""
    rows = dict(figures["by_group"])
    if figures["kind"] == "kills":
        rows["all"] = figures
    show_rows(f"{figures['kind']}, {figures['seconds']:.0f} s", rows)
    for each in figures["not_ok"]:
        console.print(f"[red]did not end well[/] {each}", markup=True)
    console.print(f"left in App Runner in the end: {figures['left_in_the_end'] or 'nothing'}")
    if "not_run" in figures:
        console.print(f"not run here: {figures['not_run']}")


def _grouped(items: Sequence[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


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
        **asdict(kill.healing),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    shown = {"plan": trial.plan, "step": trial.step, "faults": trial.faults, **asdict(trial.healing)}
    return shown | ({"retried": asdict(trial.retried)} if trial.retried else {})

"""The figures of the runs, as a table for people and as JSON for whoever compares.

Rule: every figure is counted from the kills and trials themselves; what did not end well is listed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.fault_plans import Trial
from tests.chaos.kills import Kill
from tests.chaos.story import Healing

MOST_SWEEPS = 2
"""The bar: so many sweeps heal whatever was killed."""

_WIDE = 130
_KILL_COLUMNS = {
    "kills": "kills",
    "deaths": "deaths",
    "as desired": "as_desired",
    "failed": "failed",
    "stuck": "stuck",
    "lost": "lost",
    "leaked": "leaked",
    "most sweeps": "most_sweeps",
    "median s": "median_seconds",
}


def of_kills(kills: Sequence[Kill], seconds: float, left: Sequence[str]) -> dict[str, Any]:
    """The figures: together, by step and by victim; `left` is what App Runner has when all environments are destroyed."""
    return {
        "kind": "kills",
        "seconds": round(seconds, 1),
        "left_in_the_end": list(left),
        **_counted(kills),
        "by_step": _grouped(kills, lambda kill: kill.step),
        "by_victim": _grouped(kills, lambda kill: str(kill.point.victim)),
        "not_well": [_told(kill) for kill in kills if not _good(kill.healing)],
        "points": [_told(kill) for kill in kills],
    }


def of_trials(trials: Sequence[Trial], seconds: float, left: Sequence[str], skipped: Sequence[str]) -> dict[str, Any]:
    """The figures of the hindrances; `skipped` are those that this machine does not allow."""
    by_name: dict[str, list[Trial]] = {}
    for trial in trials:
        by_name.setdefault(trial.hindrance, []).append(trial)
    return {
        "kind": "faults",
        "seconds": round(seconds, 1),
        "left_in_the_end": list(left),
        "skipped": list(skipped),
        "steps": len(trials),
        "as_desired": sum(trial.healing.well for trial in trials),
        "failed_with_a_reason": sum(not trial.healing.well and trial.well for trial in trials),
        "not_well": [_told_trial(trial) for trial in trials if not trial.well],
        "hindrances": {name: [_told_trial(trial) for trial in each] for name, each in by_name.items()},
    }


def well(figures: Mapping[str, Any]) -> bool:
    """Whether every bar is met."""
    return not figures["not_well"] and not figures["left_in_the_end"]


def show(figures: Mapping[str, Any], console: Console) -> None:
    """Print the figures."""
    table = Table(
        title=f"{figures['kind']}, {figures['seconds']:.0f} s",
        title_justify="left",
    )
    columns: Mapping[str, str]
    if figures["kind"] == "kills":
        columns = _KILL_COLUMNS
        rows = {**figures["by_step"], **figures["by_victim"], "all": figures}
    else:
        columns = {column: column for column in ("steps", "faults", "as desired", "failed, then mended", "most sweeps")}
        rows = {name: _row(each) for name, each in figures["hindrances"].items()}
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(str(row[key]) for key in columns.values()))
    Console(width=max(console.width, _WIDE), highlight=False).print(table)
    for each in figures["not_well"]:
        console.print(f"[red]not well[/] {each}", markup=True)
    console.print(f"left in App Runner in the end: {figures['left_in_the_end'] or 'nothing'}")
    for each in figures.get("skipped", ()):
        console.print(f"not run here: {each}")


def _grouped(kills: Sequence[Kill], key: Callable[[Kill], str]) -> dict[str, Any]:
    return {name: _counted([kill for kill in kills if key(kill) == name]) for name in dict.fromkeys(map(key, kills))}


def _counted(kills: Sequence[Kill]) -> dict[str, Any]:
    endings = [kill.healing for kill in kills]
    return {
        "kills": len(kills),
        "deaths": sum(len(kill.deaths) for kill in kills),
        "as_desired": sum(each.ended == "as desired" for each in endings),
        "failed": sum(each.ended.startswith("failed") for each in endings),
        "stuck": sum(each.ended.startswith("stuck") for each in endings),
        "lost": sum(each.ended.startswith("lost") for each in endings),
        "leaked": sum(any("leaked" in wrong for wrong in each.wrong) for each in endings),
        "strays": sum(kill.strays for kill in kills),
        "most_sweeps": max((each.sweeps for each in endings), default=0),
        "median_seconds": round(median([each.seconds for each in endings] or [0]), 1),
    }


def _good(healing: Healing) -> bool:
    return healing.well and healing.sweeps <= MOST_SWEEPS


def _told(kill: Kill) -> dict[str, Any]:
    return {
        "environment": kill.environment,
        "step": kill.step,
        "point": str(kill.point),
        "deaths": kill.deaths,
        **_ending(kill.healing),
    }


def _told_trial(trial: Trial) -> dict[str, Any]:
    told = {"hindrance": trial.hindrance, "step": trial.step, "faults": trial.happened, **_ending(trial.healing)}
    return told | ({"asked_again": _ending(trial.mended)} if trial.mended else {})


def _ending(healing: Healing) -> dict[str, Any]:
    return {
        "ended": healing.ended,
        "wrong": list(healing.wrong),
        "sweeps": healing.sweeps,
        "seconds": round(healing.seconds, 1),
    }


def _row(trials: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    each = list(trials)
    return {
        "steps": len(each),
        "faults": sum(trial["faults"] for trial in each),
        "as desired": sum(trial["ended"] == "as desired" for trial in each),
        "failed, then mended": sum("asked_again" in trial for trial in each),
        "most sweeps": max(trial["sweeps"] for trial in each),
    }

"""`python -m tests.simulation`: campaigns, experiments and replays, as tables for people and as JSON for machines.

The rule: exit code 1 when anything that is promised does not hold, and each figure stands beside the count of what it is one of.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation import campaign, crashes
from tests.simulation.counters import Tally
from tests.simulation.deliveries import schedule_of
from tests.simulation.history import lines
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.shrink import shrunk
from tests.simulation.simulation import LIGHT_EVERY, Simulation
from tests.simulation.stale_workers import nightmare_of

console = Console(highlight=False, soft_wrap=True)
SCENARIOS: Mapping[str, Callable[[int], Scenario]] = {
    "any": scenario_of,
    "deliveries": schedule_of,
    "stale-writes": nightmare_of,
}

_json = click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures there, too.")
_jobs = click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
_from = click.option("--from", "start", default=0, show_default=True, help="The first seed.")


@click.group(help="The orchestrator's real decisions in a simulated world; each run follows from one number.")
def main() -> None:
    pass


@main.command(help="Play many seeds, and check I1–I6 at each step.")
@click.option("--seeds", default=10_000, show_default=True)
@_from
@_jobs
@_json
def run(seeds: int, start: int, jobs: int, file: Path | None) -> None:
    tally, seconds = _played(seeds, start, jobs, scenario_of)
    report = tally.as_json() | _took(seconds, seeds)
    _show_campaign(report)
    _finish(report, file, tally.violations == 0)


@main.command(help="Play one seed again and print its history; --shrink makes it as short as it can be.")
@click.argument("seed", type=int)
@click.option("--kind", type=click.Choice(list(SCENARIOS)), default="any", show_default=True)
@click.option("--shrink", is_flag=True, help="Leave out what the violation does not need.")
def replay(seed: int, kind: str, shrink: bool) -> None:
    scenario = SCENARIOS[kind](seed)
    if shrink:
        scenario = shrunk(scenario)
    outcome = Simulation(scenario, keep_history=True).play()
    for line in lines(scenario, outcome.history, outcome.violation):
        click.echo(line)
    sys.exit(1 if outcome.violation else 0)


@main.command("crash-points", help="Die before and after each effect of each operation, once each.")
@_json
def crash_points(file: Path | None) -> None:
    cases = list(_counted(crashes.points(), None, "deaths"))
    _finish_cases("A death at each effect", cases, file)


@main.command("crash-pairs", help="Die at an effect, and once more in what heals it.")
@click.option("--pairs", default=600, show_default=True)
@_from
@_json
def crash_pairs(pairs: int, start: int, file: Path | None) -> None:
    cases = list(_counted(crashes.pairs(pairs, start), pairs, "pairs"))
    _finish_cases("A death at an effect, and one in the recovery", cases, file)


@main.command(help="Lose, double and delay the asking for workers, and nothing else.")
@click.option("--schedules", default=5_000, show_default=True)
@_from
@_jobs
@_json
def deliveries(schedules: int, start: int, jobs: int, file: Path | None) -> None:
    tally, seconds = _played(schedules, start, jobs, schedule_of)
    whole = tally.as_json()
    report = {
        "schedules": schedules,
        "deliveries": whole["faults"],
        "invocations": whole["happened"].get("invocations", 0),
        "requests_accepted": whole["happened"].get("requests accepted", 0),
        "requests_lost": tally.violations,
        "failing": whole["failing"],
        "most_services_of_one_environment": tally.most_services,
    } | _took(seconds, schedules)
    _show("Deliveries lost, doubled and late", report)
    _finish(report, file, tally.violations == 0 and tally.most_services == 1)


@main.command("stale-writes", help="Let workers outlive their lease, and see the table refuse what they write.")
@click.option("--writes", default=1_000, show_default=True, help="So many at least.")
@_from
@_jobs
@_json
def stale_writes(writes: int, start: int, jobs: int, file: Path | None) -> None:
    tally, began = Tally(), time.monotonic()
    while tally.counts["stale"]["writes refused"] + tally.counts["stale"]["writes accepted"] < writes:
        tally.merge(campaign.play(start + tally.seeds, 250 * jobs, jobs, lambda _: None, nightmare_of))
    stale = tally.counts["stale"]
    accepted = sum(message.endswith("was accepted") for _, _, message in tally.failures)
    report = {
        "seeds": tally.seeds,
        "invocations": tally.counts["happened"]["invocations"],
        "writes_without_lease_refused": stale["writes refused"],
        "writes_without_lease_accepted": max(accepted, stale["writes accepted"]),
        "changes_of_the_cloud_that_nothing_can_refuse": stale["changes of the cloud"],
        "environments_that_differ_after_such_a_change": tally.violations - accepted,
    } | _took(time.monotonic() - began, tally.seeds)
    _show("Writes by workers that lost their lease", report)
    _finish(report, file, not report["writes_without_lease_accepted"])


@main.command("healing-time", help="How long after a worker's death its environment is taken up, and as desired.")
@click.option("--deaths", default=2_000, show_default=True)
@_from
@_json
def healing_time(deaths: int, start: int, file: Path | None) -> None:
    cases = list(_counted(crashes.deaths_of_workers(deaths, start), deaths, "deaths"))
    taken_up = [case.taken_up_after for case in cases if case.taken_up_after is not None]
    healed = [case.healed_after for case in cases if case.healed_after is not None]
    itself = [after - taken for after, taken in zip(healed, taken_up, strict=False)]
    rows = {
        "taken up by the next worker": _distribution(taken_up),
        "as desired": _distribution(healed),
        "the work itself": _distribution(itself),
    }
    all_healed = sum(case.healed for case in cases)
    report = {
        "deaths_of_workers_under_a_lease": len(cases),
        "healed": all_healed,
        "light_sweep_every_seconds": LIGHT_EVERY,
        "seconds_from_lease_end": rows,
    }
    table = Table(title="Seconds from the end of a dead worker's lease")
    for column in ("", "median", "90 %", "99 %", "longest"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.0f}" for value in values.values()))
    console.print(table)
    console.print(f"{len(cases)} deaths, {all_healed} healed")
    _finish(report, file, all_healed == len(cases) and max(taken_up) <= LIGHT_EVERY + 5)


def _played(count: int, start: int, jobs: int, scenario: Callable[[int], Scenario]) -> tuple[Tally, float]:
    began = time.monotonic()
    with _progress() as bar:
        task = bar.add_task("seeds", total=count)
        tally = campaign.play(start, count, jobs, lambda done: bar.advance(task, done), scenario)
    return tally, time.monotonic() - began


def _counted(cases: Iterable[crashes.Case], total: int | None, what: str) -> Iterable[crashes.Case]:
    with _progress() as bar:
        yield from bar.track(cases, total=total, description=what)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _took(seconds: float, seeds: int) -> dict[str, float]:
    return {"seconds": round(seconds, 1), "milliseconds_a_seed": round(seconds * 1000 / max(seeds, 1), 2)}


def _finish_cases(title: str, cases: Sequence[crashes.Case], file: Path | None) -> None:
    table = Table(title=title)
    for column in (
        "operation",
        "runs",
        "deaths",
        "healed",
        "failed",
        "stuck",
        "leaked",
        "most sweeps",
        "taken up after (s)",
    ):
        table.add_column(column, justify="left" if column == "operation" else "right")
    rows = {name: _row([case for case in cases if case.operation == name]) for name in crashes.OPERATIONS}
    rows["all"] = _row(cases)
    for name, row in rows.items():
        table.add_row(name, *(str(value) for value in row.values()))
    console.print(table)
    bad = [case for case in cases if not case.healed or case.sweeps > 2]
    for case in bad[:20]:
        console.print(f"  {case.operation}: {', then '.join(case.died)}: {case.outcome}, {case.sweeps} sweeps")
    report = {"rows": rows, "cases": [asdict(case) for case in cases]}
    died = all(len(case.died) == len(case.deaths) for case in cases)
    _finish(report, file, died and not bad)


def _row(cases: Sequence[crashes.Case]) -> dict[str, Any]:
    outcomes = Counter(case.outcome.split(":")[0] for case in cases)
    taken_up = [case.taken_up_after for case in cases if case.taken_up_after is not None]
    return {
        "runs": len(cases),
        "deaths": sum(len(case.died) for case in cases),
        "healed": outcomes["healed"],
        "failed": outcomes["failed"],
        "stuck": outcomes["stuck"],
        "leaked": outcomes["leaked"],
        "most_sweeps": max((case.sweeps for case in cases), default=0),
        "taken_up_after_seconds": round(max(taken_up, default=0)),
    }


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"median": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}
    return {name: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1) for name, share in at.items()}


def _show_campaign(report: Mapping[str, Any]) -> None:
    for title, key in (("Faults that happened", "faults"), ("Deaths, checks, and what came of it", "")):
        table = Table(title=title)
        table.add_column("what")
        table.add_column("how often", justify="right")
        groups = (key,) if key else ("deaths", "checks", "without_lease", "happened")
        for group in groups:
            for what, count in report[group].items():
                table.add_row(what if key else f"{group.replace('_', ' ')}: {what}", f"{count:,}")
        console.print(table)
    for failing in report["failing"][:20]:
        console.print(
            f"[red]seed {failing['seed']}[/] violates {failing['invariant']}: {failing['message']}", markup=True
        )
        console.print(f"  python -m tests.simulation replay {failing['seed']}")
    console.print(
        f"{report['seeds']:,} seeds in {report['seconds']:.0f} s ({report['milliseconds_a_seed']} ms a seed), "
        f"{report['virtual_years']} virtual years, {report['violations']} violations"
    )


def _show(title: str, report: Mapping[str, Any]) -> None:
    table = Table(title=title, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in report.items():
        if isinstance(value, Mapping):
            for inner, count in value.items():
                table.add_row(inner, str(count))
        elif not isinstance(value, list):
            table.add_row(name.replace("_", " "), str(value))
    console.print(table)


def _finish(report: Mapping[str, Any], file: Path | None, holds: bool) -> None:
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"holds": holds, **report}, indent=2) + "\n", encoding="utf-8")
    if not holds:
        console.print("[red]Something that is promised does not hold.[/]", markup=True)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()

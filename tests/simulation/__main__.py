"""`python -m tests.simulation`: campaigns, experiments and replays, as tables for people and as JSON for machines.

The rule: the exit code is 1 when a promise does not hold, and each figure stands beside the number of cases it comes from.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.figures import console, json_option, show, show_rows, write_json
from tests.simulation import campaign, crashes
from tests.simulation.campaign import Counters
from tests.simulation.history import lines
from tests.simulation.scenario import SCENARIOS
from tests.simulation.shrink import shrink
from tests.simulation.simulation import LIGHT_EVERY, Simulation

_jobs = click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes.")
_kind = click.option("--kind", type=click.Choice(list(SCENARIOS)), default="any", show_default=True)
_number = partial(click.option, show_default=True)
_with_progress = partial(track, console=Console(stderr=True), transient=True)


@click.group(help="The orchestrator's real decisions in a simulated world; each run follows from one number.")
def main() -> None:
    pass


@main.command(help="Play many seeds, and check I1–I6 at each step.")
@_kind
@_number("--seeds", default=10_000)
@_number("--from", "start", default=0, help="The first seed.")
@_jobs
@json_option
def run(kind: str, seeds: int, start: int, jobs: int, file: Path | None) -> None:
    began = time.monotonic()
    parts = campaign.parts(start, seeds, jobs, kind)
    counters = campaign.total(_with_progress(parts, total=math.ceil(seeds / campaign.CHUNK)))
    report = counters.as_json() | _duration(began, seeds)
    _table("Faults that happened", report["faults"])
    other = {
        f"{group.replace('_', ' ')}: {what}": count
        for group in ("deaths", "checks", "without_lease", "happened")
        for what, count in report[group].items()
    }
    _table("Deaths, checks, and what happened", other)
    for failing in report["failing"][:20]:
        console.print(f"[red]seed {failing['seed']}[/] violates {failing['invariant']}: {failing['message']}")
        console.print(f"  python -m tests.simulation replay {failing['seed']} --kind {kind}")
    console.print(
        f"{seeds:,} seeds in {report['seconds']:.0f} s ({report['milliseconds_a_seed']} ms a seed), "
        f"{report['virtual_years']} virtual years, {counters.violations} violations"
    )
    _finish(report, file, counters.violations == 0 and counters.most_services <= 1)


@main.command(help="Play one seed again and print its history; --shrink leaves out what the violation does not need.")
@click.argument("seed", type=int)
@_kind
@click.option("--shrink", "shrinks", is_flag=True, help="Make the scenario as small as possible first.")
def replay(seed: int, kind: str, shrinks: bool) -> None:
    scenario = SCENARIOS[kind](seed)
    if shrinks:
        scenario = shrink(scenario)
    result = Simulation(scenario, keep_history=True).play()
    for line in lines(scenario, result):
        click.echo(line)
    sys.exit(1 if result.violation else 0)


@main.command(help="Play seeds up to the first violation, and play that seed again.")
@_kind
@_number("--seeds", default=400)
@json_option
def find(kind: str, seeds: int, file: Path | None) -> None:
    for seed in range(seeds):
        found = Simulation(SCENARIOS[kind](seed)).play().violation
        if found:
            again = Simulation(SCENARIOS[kind](seed), keep_history=True).play()
            report = {
                "seed": seed,
                "invariant": found[0],
                "message": found[1],
                "same_again": again.violation == found and bool(again.history),
            }
            _table("The first violation", report)
            _finish(report, file, False)
    _finish({"seeds": seeds}, file, True)


@main.command("crash-points", help="Die before and after each effect of each operation, once each.")
@json_option
def crash_points(file: Path | None) -> None:
    _finish_cases("A death at each effect", crashes.crash_points(), None, file)


@main.command("crash-pairs", help="Die at an effect, and once more in the recovery.")
@_number("--pairs", default=600)
@json_option
def crash_pairs(pairs: int, file: Path | None) -> None:
    _finish_cases("A death at an effect, and one in the recovery", crashes.crash_pairs(pairs), pairs, file)


@main.command("stale-writes", help="Let workers outlive their lease; the table has to refuse what they write.")
@_number("--writes", default=1_000, help="At least so many.")
@_jobs
@json_option
def stale_writes(writes: int, jobs: int, file: Path | None) -> None:
    counters, began = Counters(), time.monotonic()
    without_lease = counters.counts["without_lease"]
    while without_lease["writes refused"] + without_lease["writes accepted"] < writes:
        counters.merge(campaign.play(counters.seeds, 250 * jobs, jobs, "stale-writes"))
    accepted = sum(message.endswith("was accepted") for _, _, message in counters.failures)
    report = {
        "seeds": counters.seeds,
        "invocations": counters.counts["happened"]["invocations"],
        "writes_without_lease_refused": without_lease["writes refused"],
        "writes_without_lease_accepted": max(accepted, without_lease["writes accepted"]),
        "changes_of_the_cloud_that_nothing_can_refuse": without_lease["changes of the cloud"],
        "environments_that_differ_after_such_a_change": counters.violations - accepted,
    } | _duration(began, counters.seeds)
    _table("Writes by workers that lost their lease", report)
    _finish(report, file, not report["writes_without_lease_accepted"])


@main.command("healing-time", help="How long after a worker's death its environment is taken up, and as desired.")
@_number("--deaths", default=2_000)
@json_option
def healing_time(deaths: int, file: Path | None) -> None:
    cases = list(_with_progress(crashes.deaths_under_lease(deaths), total=deaths))
    taken_up = [case.taken_up_after for case in cases if case.taken_up_after is not None]
    as_desired = [case.healed_after for case in cases if case.healed_after is not None]
    work = [after - taken for after, taken in zip(as_desired, taken_up, strict=False)]
    rows = {
        "taken up by the next worker": _distribution(taken_up),
        "as desired": _distribution(as_desired),
        "the work itself": _distribution(work),
    }
    healed = sum(case.healed for case in cases)
    report = {
        "deaths_of_workers_under_a_lease": len(cases),
        "healed": healed,
        "light_sweep_every_seconds": LIGHT_EVERY,
        "seconds_from_lease_end": rows,
    }
    show_rows("Seconds from the end of a dead worker's lease", rows)
    console.print(f"{len(cases)} deaths, {healed} healed")
    _finish(report, file, healed == len(cases) and max(taken_up) <= LIGHT_EVERY + 5)


def _duration(began: float, seeds: int) -> dict[str, float]:
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 1), "milliseconds_a_seed": round(seconds * 1000 / max(seeds, 1), 2)}


def _finish_cases(title: str, cases: Iterable[crashes.Case], total: int | None, file: Path | None) -> None:
    done = list(_with_progress(cases, total=total))
    rows = {name: _row([case for case in done if case.operation == name]) for name in crashes.OPERATIONS}
    rows["all"] = _row(done)
    show_rows(title, rows)
    bad = [case for case in done if not case.healed or case.sweeps > 2]
    for case in bad[:20]:
        console.print(f"  {case.operation}: {', then '.join(case.died)}: {case.outcome}, {case.sweeps} sweeps")
    all_died = all(len(case.died) == len(case.deaths) for case in done)
    _finish({"rows": rows, "cases": [asdict(case) for case in done]}, file, all_died and not bad)


def _row(cases: Sequence[crashes.Case]) -> dict[str, Any]:
    outcomes = Counter(case.outcome.split(":")[0] for case in cases)
    taken_up = [case.taken_up_after for case in cases if case.taken_up_after is not None]
    return {
        "runs": len(cases),
        "deaths": sum(len(case.died) for case in cases),
        **{outcome: outcomes[outcome] for outcome in ("healed", "failed", "stuck", "leaked")},
        "most_sweeps": max((case.sweeps for case in cases), default=0),
        "taken_up_after_seconds": round(max(taken_up, default=0)),
    }


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"median": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}
    return {name: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1) for name, share in at.items()}


def _table(title: str, figures: Mapping[str, Any]) -> None:
    """Each figure on a line; a mapping of figures on a line each, lists not at all."""
    table = Table(title=title, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in figures.items():
        for label, figure in (value if isinstance(value, Mapping) else {name.replace("_", " "): value}).items():
            if not isinstance(figure, list):
                table.add_row(label, f"{figure:,}" if isinstance(figure, int) else str(figure))
    show(table)


def _finish(report: Mapping[str, Any], file: Path | None, holds: bool) -> None:
    write_json(file, {"holds": holds, **report})
    if not holds:
        console.print("[red]A promise does not hold.[/]")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()

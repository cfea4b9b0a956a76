"""`make chaos`: each promise tried hard, and a table of the results.

    python -m tests.chaos.acceptance [--seeds N] [NAME …]

The rule: each criterion is a command of its own, which can be run alone and fails when the promise does not hold. This only runs
them one after the other, and reads their figures from the JSON that they write under bench/out/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from localcloud.settings import ROOT

OUT = ROOT / "bench" / "out"
Figures = Any
"""The JSON of a command; each has its own shape."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Criterion:
    """A promise. `command` tries it (`{out}` is the file for its figures).

    `result` gives what the figures show, and whether that is what was promised.
    """

    name: str
    subject: str
    promise: str
    command: tuple[str, ...]
    result: Callable[[Figures], tuple[str, bool]]
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Result:
    """What came of one criterion."""

    name: str
    subject: str
    promise: str
    result: str
    met: bool
    seconds: float


def criteria(seeds: int) -> tuple[Criterion, ...]:
    """All criteria; the simulator plays so many seeds."""
    return (
        Criterion(
            "crash-points",
            "crash at each effect, before and after, each operation",
            "100 % healed within 2 sweeps, 0 leaked, 0 stuck",
            ("tests.simulation", "crash-points", "--json", "{out}"),
            _crashes,
        ),
        Criterion(
            "crash-pairs",
            "second crash in the recovery",
            "≥ 500 pairs, the same",
            ("tests.simulation", "crash-pairs", "--json", "{out}"),
            lambda found: _crashes(found, least=500),
        ),
        Criterion(
            "deliveries",
            "doubled, lost, late deliveries",
            "5,000 schedules: ≤ 1 service an environment, 0 requests lost",
            ("tests.simulation", "deliveries", "--json", "{out}"),
            _deliveries,
        ),
        Criterion(
            "stale-writes",
            "writes by a worker that lost its lease",
            "1,000 tried, 0 accepted",
            ("tests.simulation", "stale-writes", "--json", "{out}"),
            _stale_writes,
        ),
        Criterion(
            "healing-time",
            "from kill to the next worker, by the simulator's clock",
            "≤ lease end + 5 min",
            ("tests.simulation", "healing-time", "--json", "{out}"),
            _healing_time,
        ),
        Criterion(
            "inventories",
            "corrupted, foreign, partly unknown inventories",
            "1,000: cap never passed, 0 protected or foreign things touched",
            _tests("tests/unit/orchestrator/test_deep_sweep_properties.py"),
            _inventories,
            {"CHAOS_EXAMPLES": "1000"},
        ),
        Criterion(
            "safeguards",
            "each safeguard taken out",
            "a test fails for each",
            ("tests.safeguards", "--json", "{out}"),
            _safeguards,
        ),
        Criterion(
            "kills",
            "real kills of worker and CLI",
            "≥ 100, 0 leaked, 0 requests lost, ≤ 2 sweeps",
            ("tests.chaos", "kills", "--most", "40", "--json", "{out}"),
            _kills,
        ),
        Criterion(
            "faults",
            "500, throttling, cut and slow connections, full /tmp, two workers",
            "each ends as desired, or failed with its reason; 0 leaked",
            ("tests.chaos", "faults", "--json", "{out}"),
            _faults,
        ),
        Criterion(
            "api-fuzz",
            "API fuzz",
            "≥ 10,000 cases, 0 answers of 5xx, schema always kept",
            _tests("tests/e2e/test_api_fuzz.py"),
            _api_fuzz,
            {"CHAOS_EXAMPLES": "10000"},
        ),
        Criterion(
            "stateful-model",
            "stateful model over HTTP",
            "the API does what the model says",
            _tests("tests/e2e/test_stateful_model.py"),
            _stateful_model,
            {"CHAOS_EXAMPLES": "2000"},
        ),
        Criterion(
            "simulator",
            "simulator",
            f"{seeds:,} seeds, 0 invariants broken",
            ("tests.simulation", "run", "--seeds", str(seeds), "--json", "{out}"),
            lambda found: _simulator(found, seeds),
        ),
    )


def _tests(file: str) -> tuple[str, ...]:
    return ("pytest", file, "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0")


@click.command(help="Try every promise, or those named, and print the table.")
@click.option(
    "--seeds", default=1_000_000, show_default=True, help="Of the simulator, which plays about 1,000 a second."
)
@click.argument("names", nargs=-1)
def main(seeds: int, names: tuple[str, ...]) -> None:
    known = criteria(seeds)
    chosen = [each for each in known if not names or each.name in names]
    if not chosen:
        raise click.UsageError(
            f"There is no criterion of that name. There are: {', '.join(each.name for each in known)}."
        )
    OUT.mkdir(parents=True, exist_ok=True)
    results = []
    for number, criterion in enumerate(chosen, 1):
        console.print(f"[bold]{number} of {len(chosen)}: {criterion.subject}[/]")
        results.append(_try(criterion))
        console.print(f"  {results[-1].result}, after {results[-1].seconds:.0f} s")
    _show(results)
    summary = json.dumps([asdict(each) for each in results], indent=2)
    (OUT / "chaos.json").write_text(summary + "\n", encoding="utf-8")
    sys.exit(0 if all(each.met for each in results) else 1)


def _try(criterion: Criterion) -> Result:
    file = OUT / f"chaos-{criterion.name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", *(word.format(out=file) for word in criterion.command)]
    environment = os.environ | {"CHAOS_OUT": str(file)} | dict(criterion.variables or {})
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - started
    try:
        text, met = criterion.result(_read(file))
    except FileNotFoundError:
        text, met = "no figures: the command could not run", False
    return Result(criterion.name, criterion.subject, criterion.promise, text, met and code == 0, round(seconds, 1))


def _read(file: Path) -> Figures:
    """A command's figures: the whole file, or its last line where each try adds a line."""
    text = file.read_text(encoding="utf-8")
    return json.loads(text if text.startswith(("{\n", "[")) else text.splitlines()[-1])


def _show(results: list[Result]) -> None:
    table = Table(title="What is promised, and the results", title_justify="left")
    for column in ("subject", "promise", "result", "met", "s"):
        table.add_column(column, overflow="fold", justify="right" if column == "s" else "left")
    for each in results:
        met = "yes" if each.met else "[red]no[/]"
        table.add_row(each.subject, each.promise, each.result, met, f"{each.seconds:.0f}")
    Console(width=max(console.width, 120), highlight=False).print(table)


def _crashes(found: Figures, least: int = 1) -> tuple[str, bool]:
    row = found["rows"]["all"]
    text = (
        f"{row['runs']} runs, {row['deaths']} deaths, {row['healed']} healed in ≤ {row['most_sweeps']} sweeps, "
        f"{row['leaked']} leaked, {row['stuck']} stuck"
    )
    met = row["runs"] >= least and row["healed"] == row["runs"] and row["most_sweeps"] <= 2
    return text, met and not row["leaked"] and not row["stuck"]


def _deliveries(found: Figures) -> tuple[str, bool]:
    most, lost = found["most_services_of_one_environment"], found["requests_lost"]
    text = f"{found['schedules']:,} schedules, {found['requests_accepted']:,} requests: ≤ {most} service, {lost} lost"
    return text, found["schedules"] >= 5000 and most == 1 and not lost


def _stale_writes(found: Figures) -> tuple[str, bool]:
    refused, accepted = found["writes_without_lease_refused"], found["writes_without_lease_accepted"]
    return f"{refused + accepted:,} tried, {accepted} accepted", refused >= 1000 and not accepted


def _healing_time(found: Figures) -> tuple[str, bool]:
    deaths, healed = found["deaths_of_workers_under_a_lease"], found["healed"]
    longest = found["seconds_from_lease_end"]["taken up by the next worker"]["longest"]
    whole = found["seconds_from_lease_end"]["as desired"]["longest"]
    text = (
        f"{deaths:,} deaths, {healed:,} healed; taken up at most {longest:.0f} s after the lease's end, and as desired after "
        f"{whole:.0f} s, the work itself included"
    )
    return text, healed == deaths and longest <= 305


def _inventories(found: Figures) -> tuple[str, bool]:
    text = f"{found['inventories']:,} inventories: {found['remove']:,} orphans removed, {found['aborted']:,} sweeps aborted"
    return f"{text}, 0 foreign or protected things touched", found["inventories"] >= 1000


def _safeguards(found: Figures) -> tuple[str, bool]:
    noticed = sum(each["noticed"] for each in found)
    return f"{noticed} of {len(found)} noticed", noticed == len(found)


def _kills(found: Figures) -> tuple[str, bool]:
    text = (
        f"{found['kills']} kills, {found['deaths']} deaths: {found['as_desired']} as desired, {found['stuck']} stuck, "
        f"{found['lost']} lost, {found['leaked']} leaked, ≤ {found['most_sweeps']} sweeps"
    )
    return text, found["kills"] >= 100 and not found["not_ok"] and not found["left_in_the_end"]


def _faults(found: Figures) -> tuple[str, bool]:
    text = f"{found['steps']} trials: {found['as_desired']} as desired, {found['failed_with_a_reason']} failed with a reason"
    skipped = f"; not run: {', '.join(found['skipped'])}" if found["skipped"] else ""
    return text + skipped, not found["not_ok"] and not found["left_in_the_end"]


def _api_fuzz(found: Figures) -> tuple[str, bool]:
    text = f"{found['cases']:,} cases, {found['answers_5xx']} answers of 5xx"
    return text, found["cases"] >= 10_000 and not found["answers_5xx"]


def _stateful_model(found: Figures) -> tuple[str, bool]:
    return f"{found['sequences']} sequences, {found['requests']:,} requests", found["sequences"] >= 1


def _simulator(found: Figures, seeds: int) -> tuple[str, bool]:
    text = f"{found['seeds']:,} seeds, {found['virtual_years']} virtual years, {found['violations']} violations"
    return text, found["seeds"] >= seeds and not found["violations"]


if __name__ == "__main__":
    main()

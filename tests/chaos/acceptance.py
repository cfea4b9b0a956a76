"""`make chaos`: what is promised, each promise tried hard, and the table of what was seen.

    python -m tests.chaos.acceptance [--seeds N] [NAME …]

Rule: each row is a command of its own, which can be run alone and says no when the promise does not hold; this only runs them one
after the other, and reads their figures from the JSON that they leave under bench/out/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from localcloud.settings import ROOT

OUT = ROOT / "bench" / "out"
Figures = Any
"""What a command's JSON holds; each has its own shape."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Bar:
    """A promise: `command` tries it (`{out}` is the file for its figures).

    `seen` says what the figures show, and whether that is what was promised.
    """

    name: str
    figure: str
    bar: str
    command: tuple[str, ...]
    seen: Callable[[Figures], tuple[str, bool]]
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Row:
    """What came of one promise."""

    name: str
    figure: str
    bar: str
    seen: str
    met: bool
    seconds: float


def bars(seeds: int) -> tuple[Bar, ...]:
    """All promises; the simulator plays so many seeds."""
    return (
        Bar(
            "crash-points",
            "crash at each effect, before and after, each operation",
            "100 % healed in ≤ 2 sweeps, 0 leaked, 0 stuck",
            ("tests.simulation", "crash-points", "--json", "{out}"),
            _crashes,
        ),
        Bar(
            "crash-pairs",
            "second crash in the recovery",
            "≥ 500 pairs, the same",
            ("tests.simulation", "crash-pairs", "--json", "{out}"),
            lambda found: _crashes(found, least=500),
        ),
        Bar(
            "deliveries",
            "doubled, lost, late deliveries",
            "5,000 schedules: ≤ 1 service an environment, 0 requests lost",
            ("tests.simulation", "deliveries", "--json", "{out}"),
            _deliveries,
        ),
        Bar(
            "stale-writes",
            "writes by a worker that lost its lease",
            "1,000 tried, 0 accepted",
            ("tests.simulation", "stale-writes", "--json", "{out}"),
            _stale_writes,
        ),
        Bar(
            "healing-time",
            "from kill to the next worker, by the simulator's clock",
            "≤ lease end + 5 min",
            ("tests.simulation", "healing-time", "--json", "{out}"),
            _healing_time,
        ),
        Bar(
            "inventories",
            "corrupted, foreign, partly unknown inventories",
            "1,000: cap never passed, 0 protected or foreign things touched",
            _tests("tests/unit/orchestrator/test_deep_sweep_properties.py"),
            _inventories,
            {"CHAOS_EXAMPLES": "1000"},
        ),
        Bar(
            "safeguards",
            "each safeguard taken out",
            "a test fails for each",
            ("tests.safeguards.mutants", "--json", "{out}"),
            _safeguards,
        ),
        Bar(
            "kills",
            "real kills of worker and CLI",
            "≥ 100, 0 leaked, 0 requests lost, ≤ 2 sweeps",
            ("tests.chaos", "kills", "--most", "40", "--json", "{out}"),
            _kills,
        ),
        Bar(
            "faults",
            "500, throttling, cut and slow connections, full /tmp, two workers",
            "each ends as desired, or failed with its reason; 0 leaked",
            ("tests.chaos", "faults", "--json", "{out}"),
            _faults,
        ),
        Bar(
            "api-fuzz",
            "API fuzz",
            "≥ 10,000 cases, 0 answers of 5xx, schema always kept",
            _tests("tests/e2e/test_api_fuzz.py"),
            _api_fuzz,
            {"CHAOS_EXAMPLES": "10000"},
        ),
        Bar(
            "stateful-model",
            "stateful model over HTTP",
            "the API does what the model says",
            _tests("tests/e2e/test_stateful_model.py"),
            _stateful_model,
            {"CHAOS_EXAMPLES": "2000"},
        ),
        Bar(
            "simulator",
            "simulator",
            f"{seeds:,} seeds, 0 invariants broken",
            ("tests.simulation", "run", "--seeds", str(seeds), "--json", "{out}"),
            lambda found: _simulator(found, seeds),
        ),
    )


def _tests(file: str) -> tuple[str, ...]:
    return ("pytest", file, "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0")


@click.command(help="Try everything that is promised, and print the table.")
@click.option("--seeds", default=1_000_000, show_default=True, help="Of the simulator; it plays about 1,000 a second.")
@click.argument("names", nargs=-1)
def main(seeds: int, names: tuple[str, ...]) -> None:
    chosen = [bar for bar in bars(seeds) if not names or bar.name in names]
    if not chosen:
        known = ", ".join(bar.name for bar in bars(seeds))
        raise click.UsageError(f"There is no promise of that name. There are: {known}.")
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, bar in enumerate(chosen, 1):
        console.print(f"[bold]{number} of {len(chosen)}: {bar.figure}[/]")
        rows.append(_tried(bar))
        console.print(f"  {rows[-1].seen}, after {rows[-1].seconds:.0f} s")
    _show(rows)
    summary = [row.__dict__ for row in rows]
    (OUT / "chaos.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(row.met for row in rows) else 1)


def _tried(bar: Bar) -> Row:
    file = OUT / f"chaos-{bar.name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", *(word.format(out=file) for word in bar.command)]
    environment = os.environ | {"CHAOS_OUT": str(file)} | dict(bar.variables or {})
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - started
    try:
        # The last line: who is tried more than once in a run adds a line each time.
        text = file.read_text(encoding="utf-8")
        seen, good = bar.seen(json.loads(text if text.startswith(("{\n", "[")) else text.splitlines()[-1]))
    except FileNotFoundError:
        seen, good = "no figures: it could not be run", False
    return Row(bar.name, bar.figure, bar.bar, seen, good and code == 0, round(seconds, 1))


def _show(rows: list[Row]) -> None:
    table = Table(title="What is promised, and what was seen", title_justify="left")
    for column in ("figure", "bar", "seen", "met", "s"):
        table.add_column(column, overflow="fold", justify="right" if column == "s" else "left")
    for row in rows:
        table.add_row(row.figure, row.bar, row.seen, "yes" if row.met else "[red]no[/]", f"{row.seconds:.0f}")
    console.print(table, width=max(console.width, 120))


def _crashes(found: Figures, least: int = 1) -> tuple[str, bool]:
    row = found["rows"]["all"]
    text = (
        f"{row['runs']} runs, {row['deaths']} deaths, {row['healed']} healed in ≤ {row['most_sweeps']} sweeps, "
        f"{row['leaked']} leaked, {row['stuck']} stuck"
    )
    well = row["runs"] >= least and row["healed"] == row["runs"] and row["most_sweeps"] <= 2
    return text, well and not row["leaked"] and not row["stuck"]


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
        f"{whole:.0f} s, the work itself among them"
    )
    return text, healed == deaths and longest <= 305


def _inventories(found: Figures) -> tuple[str, bool]:
    text = f"{found['inventories']:,} inventories: {found['remove']:,} orphans removed, {found['aborted']:,} sweeps aborted"
    return f"{text}, 0 foreign or protected things touched", found["inventories"] >= 1000


def _safeguards(found: Figures) -> tuple[str, bool]:
    caught = sum(each["caught"] for each in found)
    return f"{caught} of {len(found)} noticed", caught == len(found)


def _kills(found: Figures) -> tuple[str, bool]:
    text = (
        f"{found['kills']} kills, {found['deaths']} deaths: {found['as_desired']} as desired, {found['stuck']} stuck, "
        f"{found['lost']} lost, {found['leaked']} leaked, ≤ {found['most_sweeps']} sweeps"
    )
    return text, found["kills"] >= 100 and not found["not_well"] and not found["left_in_the_end"]


def _faults(found: Figures) -> tuple[str, bool]:
    text = f"{found['steps']} trials: {found['as_desired']} as desired, {found['failed_with_a_reason']} failed with a reason"
    skipped = f"; not run: {', '.join(found['skipped'])}" if found["skipped"] else ""
    return text + skipped, not found["not_well"] and not found["left_in_the_end"]


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

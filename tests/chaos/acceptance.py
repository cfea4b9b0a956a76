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
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from localcloud.settings import ROOT
from tests.figures import console, show, write_json

OUT = ROOT / "bench" / "out"
_PYTEST = ("pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0")


@dataclass(frozen=True)
class Criterion:
    """A promise, the module or the tests that try it, and what their figures must show; see `criteria.toml`."""

    name: str
    subject: str
    promise: str
    summary: str
    command: tuple[str, ...] = ()
    tests: str = ""
    examples: int = 0
    part: str = ""
    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    equal: Mapping[str, str] = field(default_factory=dict)

    def judge(self, figures: Mapping[str, Any]) -> tuple[str, bool]:
        """The summary of these figures, and whether they show what is promised."""
        found = _figure(figures, self.part) if self.part else figures
        met = (
            all(_number(found, name) >= least for name, least in self.at_least.items())
            and all(_number(found, name) <= most for name, most in self.at_most.items())
            and all(_number(found, name) == _number(found, other) for name, other in self.equal.items())
        )
        return self.summary.format(**found), met


@dataclass(frozen=True)
class Result:
    """What came of one criterion."""

    name: str
    subject: str
    promise: str
    result: str
    met: bool
    seconds: float


def criteria() -> tuple[Criterion, ...]:
    """All criteria, in the order of the file."""
    text = (Path(__file__).parent / "criteria.toml").read_text(encoding="utf-8")
    return tuple(Criterion(**each) for each in tomllib.loads(text)["criterion"])


@click.command(help="Try every promise, or those named, and print the table.")
@click.option(
    "--seeds", default=1_000_000, show_default=True, help="Of the simulator, which plays about 1,000 a second."
)
@click.argument("names", nargs=-1)
def main(seeds: int, names: tuple[str, ...]) -> None:
    known = criteria()
    chosen = [each for each in known if not names or each.name in names]
    if not chosen:
        raise click.UsageError(
            f"There is no criterion of that name. There are: {', '.join(each.name for each in known)}."
        )
    OUT.mkdir(parents=True, exist_ok=True)
    results = []
    for number, criterion in enumerate(chosen, 1):
        console.print(f"[bold]{number} of {len(chosen)}: {criterion.subject}[/]")
        results.append(_try(criterion, seeds))
        console.print(f"  {results[-1].result}, after {results[-1].seconds:.0f} s")
    _show(results)
    write_json(OUT / "chaos.json", [asdict(each) for each in results])
    sys.exit(0 if all(each.met for each in results) else 1)


def _try(criterion: Criterion, seeds: int) -> Result:
    file = OUT / f"chaos-{criterion.name}.json"
    file.unlink(missing_ok=True)
    module = criterion.command or (*_PYTEST, criterion.tests)
    command = [sys.executable, "-m", *(word.format(out=file, seeds=seeds) for word in module)]
    environment = os.environ | {"CHAOS_OUT": str(file)}
    if criterion.examples:
        environment["CHAOS_EXAMPLES"] = str(criterion.examples)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - started
    try:
        text, met = criterion.judge({"wanted_seeds": seeds, **_read(file)})
    except FileNotFoundError:
        text, met = "no figures: the command could not run", False
    promise = criterion.promise.format(seeds=seeds)
    return Result(criterion.name, criterion.subject, promise, text, met and code == 0, round(seconds, 1))


def _read(file: Path) -> Mapping[str, Any]:
    """A command's figures: the whole file, or its last line where each try adds a line."""
    text = file.read_text(encoding="utf-8")
    figures: Mapping[str, Any] = json.loads(text if text.startswith("{\n") else text.splitlines()[-1])
    return figures


def _figure(figures: Mapping[str, Any], path: str) -> Any:
    return reduce(lambda found, name: found[name], path.split("/"), figures)


def _number(figures: Mapping[str, Any], path: str) -> float:
    figure = _figure(figures, path)
    return len(figure) if isinstance(figure, list) else figure


def _show(results: list[Result]) -> None:
    table = Table(title="What is promised, and the results", title_justify="left")
    for column in ("subject", "promise", "result", "met", "s"):
        table.add_column(column, overflow="fold", justify="right" if column == "s" else "left")
    for each in results:
        met = "yes" if each.met else "[red]no[/]"
        table.add_row(each.subject, each.promise, each.result, met, f"{each.seconds:.0f}")
    show(table)


if __name__ == "__main__":
    main()

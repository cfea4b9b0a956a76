"""Takes each safeguard out of a copy of the code and runs the checks that have to notice: tests, the simulator, or both.

The rule: a safeguard is found by its exact text. If that is gone, the check fails, so a safeguard can't be moved
without its mutant. The same checks run first on an unchanged copy, where nothing may fail.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcloud.settings import ROOT

_COPIED = (
    "orchestrator",
    "tests",
    "tools",
    "localcloud",
    "fibfactory_cli",
    "fibservice",
    "template_stack.py",
    "pyproject.toml",
)
_SECONDS = 300
_PYTEST = ("pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--no-header")


@dataclass(frozen=True)
class Mutant:
    """A safeguard, how it is taken out, and what has to notice; see `mutants.toml`."""

    safeguard: str
    file: str
    text: str
    without: str
    tests: Sequence[str] = ()
    simulator: str | None = None
    invariants: Sequence[str] = ()


@dataclass(frozen=True)
class Result:
    """What noticed that a safeguard was gone, and what should have and did not."""

    safeguard: str
    noticed_by: tuple[str, ...]
    missed_by: tuple[str, ...]
    seconds: float

    @property
    def noticed(self) -> bool:
        return bool(self.noticed_by) and not self.missed_by


class CannotCheck(Exception):
    """A safeguard is not where its mutant says, or a check fails with all safeguards in place."""


def mutants() -> tuple[Mutant, ...]:
    """All mutants, in the order of the file."""
    text = (Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8")
    return tuple(Mutant(**each) for each in tomllib.loads(text)["mutant"])


def check(chosen: Sequence[Mutant], folder: Path, jobs: int) -> list[Result]:
    """Each mutant's result, in order. Raises CannotCheck when one's text is gone, or a check fails without any mutant."""
    _check_unchanged(chosen, folder / "unchanged")
    copies = [folder / str(number) for number in range(len(chosen))]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(_check_mutant, chosen, copies))


def _check_unchanged(chosen: Sequence[Mutant], copy: Path) -> None:
    _copy(copy)
    failed = _failing_test(copy, sorted({test for each in chosen for test in each.tests}))
    kinds = sorted({each.simulator for each in chosen if each.simulator})
    found = [failed, *(f"{kind}: {violated}" for kind in kinds if (violated := _violation(copy, kind)))]
    if any(found):
        raise CannotCheck(f"With every safeguard in place, this failed: {' '.join(found)}. Fix it first.")


def _check_mutant(mutant: Mutant, copy: Path) -> Result:
    started = time.monotonic()
    _copy(copy)
    _take_out(mutant, copy / mutant.file)
    noticed_by: list[str] = []
    missed_by: list[str] = []
    if mutant.tests:
        failed = _failing_test(copy, mutant.tests)
        (noticed_by if failed else missed_by).append(failed or "tests")
    if mutant.simulator:
        violated = _violation(copy, mutant.simulator)
        (noticed_by if violated in mutant.invariants else missed_by).append(f"simulator {violated}".strip())
    shutil.rmtree(copy)
    return Result(mutant.safeguard, tuple(noticed_by), tuple(missed_by), round(time.monotonic() - started, 1))


def _take_out(mutant: Mutant, file: Path) -> None:
    before = file.read_text(encoding="utf-8")
    if before.count(mutant.text) != 1:
        raise CannotCheck(
            f"{mutant.file} has the text of the safeguard “{mutant.safeguard}” {before.count(mutant.text)} times, not once: "
            "give its present text in tests/safeguards/mutants.toml."
        )
    file.write_text(before.replace(mutant.text, mutant.without), encoding="utf-8")


def _copy(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)  # with the compiled files, which are half of what a check computes
        else:
            shutil.copy(source, folder)


def _failing_test(folder: Path, tests: Sequence[str]) -> str:
    """The first of these tests that fails there; empty when all pass. Raises RuntimeError when they could not run."""
    if not tests:
        return ""
    done = _run(folder, *_PYTEST, *tests)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode and not (done.returncode == 1 and failed):
        raise RuntimeError(f"The tests could not run in {folder}:\n{done.stdout}{done.stderr}")
    return failed[0].removeprefix("FAILED ").split(" - ")[0].rpartition("/")[2] if failed else ""


def _violation(folder: Path, kind: str) -> str:
    """The invariant that the simulator reports there first; empty when all hold.

    Raises RuntimeError when the simulator could not run, or the same seed does not violate the same invariant again.
    """
    figures = folder / f"{kind}.json"
    done = _run(folder, "tests.simulation", "find", "--kind", kind, "--json", str(figures))
    report = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else {}
    if not report or not report.get("same_again", report["holds"]):
        raise RuntimeError(f"The simulator could not run in {folder}:\n{done.stdout}{done.stderr}")
    return str(report.get("invariant", ""))


def _run(folder: Path, *module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )

"""Takes each safeguard in turn out of a copy of the code and runs the tests that should notice.

    python -m tests.safeguards.mutants [--json FILE] [NAME …]

Rule: a safeguard is named by the very text that makes it; when that text is no longer there, the check fails, so that nobody
moves a safeguard without moving its check. The tests run first on an unchanged copy, where they have to pass.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from localcloud.settings import ROOT

_UNIT = "tests/unit/orchestrator"
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


@dataclass(frozen=True)
class Safeguard:
    """What protects, where it stands, and what stands there when it is taken out; `tests` should notice."""

    name: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    safeguard: str
    caught: bool
    by: str
    seconds: float


class Moved(Exception):
    """The safeguard's text is not where it was."""


SAFEGUARDS = (
    Safeguard(
        "fencing token: a worker that lost its lease writes nothing",
        "orchestrator/domain/lease.py",
        "if environment.lease.holder is None or environment.lease.token != token:",
        "if environment.lease.holder is None:",
        (f"{_UNIT}/test_reconcile.py",),
    ),
    Safeguard(
        "lease: nobody claims what another holds",
        "orchestrator/domain/environment.py",
        "return self.lease.holder is None or (self.lease.until is not None and self.lease.until <= now)",
        "return True",
        (f"{_UNIT}/test_reconcile.py", f"{_UNIT}/test_recover.py"),
    ),
    Safeguard(
        "guarded let-go: a change that arrives meanwhile is not slept through",
        "orchestrator/worker/reconciler.py",
        "return self._replace(lease.release(self.environment, self.token))",
        "self._replace(lease.release(self.environment, self.token))\n        return True",
        (f"{_UNIT}/test_reconcile.py",),
    ),
    Safeguard(
        "receipt: destroyed only after a look that finds nothing",
        "orchestrator/worker/operations.py",
        'if look.found:\n            raise Transient(f"After',
        'if False:\n            raise Transient(f"After',
        (f"{_UNIT}/test_reconcile.py", f"{_UNIT}/test_recover.py"),
    ),
    Safeguard(
        "protected: destroyed only when the request says so",
        "orchestrator/domain/desired.py",
        "if environment.present and environment.protected and not force:",
        "if False:",
        (f"{_UNIT}/test_requests.py",),
    ),
    Safeguard(
        "protected: never expires",
        "orchestrator/domain/environment.py",
        "return self.present and not self.protected and self.expires_at is not None and self.expires_at <= now",
        "return self.present and self.expires_at is not None and self.expires_at <= now",
        (f"{_UNIT}/test_sweep.py", f"{_UNIT}/test_environment.py"),
    ),
    Safeguard(
        "locks: only a dead worker's is broken",
        "orchestrator/worker/recovery.py",
        "if not any(span.covers(lock.at, lock.host) for span in environment.expired_leases):",
        "if False:",
        (f"{_UNIT}/test_recover.py",),
    ),
    Safeguard(
        "pending creates: removed before the state forgets them",
        "orchestrator/worker/recovery.py",
        "    if made:\n",
        "    if False:\n",
        (f"{_UNIT}/test_recover.py",),
    ),
    Safeguard(
        "pending creates: what can't be looked up is left for a person",
        "orchestrator/worker/recovery.py",
        "    if unknown:\n",
        "    if False:\n",
        (f"{_UNIT}/test_recover.py",),
    ),
    Safeguard(
        "cap: more orphans than it abort the sweep before anything is done",
        "orchestrator/sweeper/deep.py",
        "        if too_many:\n",
        "        if False:\n",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "two passes: nothing is removed by the sweep that first sees it",
        "orchestrator/sweeper/drift.py",
        "first_seen = self._suspects.get(environment_id, self._seen.began)",
        "first_seen = newest = max(thing.since for thing in ours)\n        return first_seen",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "least age: nothing young is an orphan",
        "orchestrator/sweeper/drift.py",
        "LEAST_AGE = timedelta(hours=1)",
        "LEAST_AGE = timedelta(0)",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "platform tag: what another platform made is foreign",
        "orchestrator/sweeper/drift.py",
        "ours = platform == self._platform != names.NO_PLATFORM and environment == environment_id",
        "ours = environment == environment_id",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "all of it ours: a stranger under the same name keeps everything",
        "orchestrator/sweeper/drift.py",
        "if len(ours) < len(things):",
        "if False:",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "empty look: an error, not a reason to make everything anew",
        "orchestrator/sweeper/drift.py",
        "if expected and not self._may_be_ours(services):",
        "if False:",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "protected: nothing is inferred of it",
        "orchestrator/sweeper/drift.py",
        "if record.present and record.protected and remedy is not Remedy.KEEP:",
        "if False:",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "quarantine: three failed tries end the trying",
        "orchestrator/sweeper/drift.py",
        "if record.removal_retries < MAX_REMOVAL_RETRIES:",
        "if True:",
        (f"{_UNIT}/test_deep_sweep.py",),
    ),
    Safeguard(
        "conditional write: a record that changed meanwhile is not written over",
        "orchestrator/adapters/dynamodb/records.py",
        '"ConditionExpression": "version = :version AND lease_token = :token",',
        '"ConditionExpression": "lease_token = :token OR version = :version",',
        ("tests/functional/orchestrator/test_records.py",),
    ),
    Safeguard(
        "tags: a service of our name without our tags is not ours",
        "orchestrator/adapters/aws/cloud.py",
        "if not self._tags(environment).items() <= tags.items():",
        "if False:",
        ("tests/functional/orchestrator/test_cloud.py",),
    ),
    Safeguard(
        "health gate: a rolled-back update is not ready",
        "orchestrator/worker/operations.py",
        'if service.last_operation != "SUCCEEDED" and not',
        "if False and not",
        (f"{_UNIT}/test_reconcile.py",),
    ),
    Safeguard(
        "owner: nobody sees another's environment",
        "orchestrator/api/use_cases.py",
        "return self.operator or environment.owner == self.owner",
        "return True",
        (f"{_UNIT}/test_requests.py",),
    ),
)


@click.command(help="Take each safeguard out in turn and show that a test fails.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="write the results here, too"
)
@click.option("--jobs", default=2, show_default=True, help="so many copies at once")
@click.argument("names", nargs=-1)
def main(json_file: Path | None, jobs: int, names: tuple[str, ...]) -> None:
    chosen = [each for each in SAFEGUARDS if not names or any(name in each.name for name in names)]
    console = Console()
    with tempfile.TemporaryDirectory(prefix="fibfactory-safeguards-") as folder:
        try:
            results = check(chosen, Path(folder), jobs)
        except Moved as error:
            raise click.ClickException(str(error)) from error
    table = Table("safeguard taken out", "noticed by", "s", title="Each safeguard, taken out", title_justify="left")
    for result in results:
        table.add_row(
            result.safeguard, result.by.split(" - ")[0] if result.caught else "[red]nobody[/]", f"{result.seconds:.1f}"
        )
    console.print(table)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps([asdict(result) for result in results], indent=2))
    if not chosen or not all(result.caught for result in results):
        sys.exit(1)


def check(safeguards: Sequence[Safeguard], folder: Path, jobs: int) -> list[Result]:
    """Each safeguard's result, in their order. Raises Moved when one's text is gone, or its tests fail with it in place."""
    tests = sorted({test for each in safeguards for test in each.tests})
    untouched = folder / "untouched"
    _copy(untouched)
    failed = _first_failure(untouched, tests)
    if failed:
        raise Moved(f"With every safeguard in place, this failed: {failed}. Mend it first.")
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda numbered: _without(numbered[1], folder / str(numbered[0])), enumerate(safeguards)))


def _without(safeguard: Safeguard, copy: Path) -> Result:
    started = time.monotonic()
    _copy(copy)
    file = copy / safeguard.file
    before = file.read_text()
    if before.count(safeguard.text) != 1:
        raise Moved(
            f"{safeguard.file} has {before.count(safeguard.text)} times what makes the safeguard “{safeguard.name}”: "
            "say in tests/safeguards/safeguards.py where it is now."
        )
    file.write_text(before.replace(safeguard.text, safeguard.without))
    by = _first_failure(copy, safeguard.tests)
    shutil.rmtree(copy)
    return Result(safeguard.name, bool(by), by, time.monotonic() - started)


def _copy(folder: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder)


def _first_failure(folder: Path, tests: Sequence[str]) -> str:
    """The first test that fails there, by name; empty when all pass. Raises RuntimeError when they could not be run."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "--no-header",
        *tests,
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode != 1 or not failed:
        raise RuntimeError(f"The tests could not be run in {folder}:\n{done.stdout}{done.stderr}")
    return failed[0].removeprefix("FAILED ").rpartition("/")[2]


if __name__ == "__main__":
    main()

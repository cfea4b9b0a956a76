"""Schemathesis fuzzes the HTTP API with requests that its OpenAPI document calls valid or invalid, and checks the responses.

The requests are signed and go through API Gateway; `fuzz.toml` says which checks are on and why two of them are off. Workers are
switched off meanwhile (reserved concurrency 0, as an operator would do), so that thousands of environments are only requested.

CHAOS_EXAMPLES=10000 makes at least so many cases; CHAOS_OUT names a file that gets a line with the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from fibfactory_cli.client import Client
from tests.e2e.story import UNKNOWN, destroyed, follow, put, ready, table_keys
from tests.figures import wanted_examples, write_figures
from tools.platform_on_localcloud import Platform

WANTED = wanted_examples(1000)
TIMEOUT_SECONDS = 60 + WANTED
HERE = Path(__file__).parent
PREPARED = ("fuzz-ready", "fuzz-destroyed", "fuzz-failed")
"""Environments that a worker acts on before the run."""
SHARED_IDS = ("fuzz-a", "fuzz-b", "fuzz-c")
# Only sequences use these: an environment removed in a sequence stays removed in it.
SEQUENCE_IDS = ("fuzz-d", "fuzz-e")
# Approximate numbers of operations, of cases that can be enumerated, and of calls in a sequence.
OPERATIONS, ENUMERATED, CALLS_IN_A_SEQUENCE = 13, 1000, 7
_PREPARED_KEYS = tuple(f"ENV#{name}" for name in PREPARED)


@pytest.fixture
def without_workers(platform: Platform, operator: Client) -> Iterator[None]:
    """Prepare some environments, then switch workers off until the test is over, and remove everything afterwards."""
    before = table_keys(platform)
    with ThreadPoolExecutor(len(PREPARED)) as callers:
        list(callers.map(lambda make: make(operator), (_ready, _destroyed, _failed)))
    functions, name = platform.cloud.session("operator").client("lambda"), platform.outputs["worker_function"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    yield
    # While workers are still off: a late one then finds nothing to do.
    _delete_rows(
        platform, [row for row in table_keys(platform) if row not in before and not row[0].startswith(_PREPARED_KEYS)]
    )
    functions.delete_function_concurrency(FunctionName=name)
    for prepared in PREPARED:
        operator.call("DELETE", f"/environments/{prepared}", query={"force": "true"}).checked()
        # It may have been removed before, when workers were off.
        functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"environment": prepared}))
        assert follow(operator, prepared)["status"] == "destroyed"
    _delete_rows(platform, table_keys(platform) - before)


def test_the_api_conforms_to_its_openapi_document(
    without_workers: None, platform: Platform, operator: Client, tmp_path: Path
) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(operator.call("GET", "/openapi.json").checked().body))
    started, answers, failures = time.monotonic(), Counter[str](), list[str]()
    while answers.total() < WANTED and not failures:
        with ThreadPoolExecutor() as runs:
            jobs = _jobs(first=not answers, missing=WANTED - answers.total())
            for run in runs.map(lambda job: job(platform, document), jobs):
                answers.update(run["answers"])
                failures += run["failures"]
    figures = {
        "cases": answers.total(),
        "answers_5xx": sum(count for answer, count in answers.items() if answer.split()[-2].startswith("5")),
        "refused_by_gateway": sum(
            count for answer, count in answers.items() if answer.endswith("403 application/json")
        ),
        "accepted": sum(count for answer, count in answers.items() if answer.split()[-2].startswith("2")),
        "failures": len(failures),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_figures("api fuzz", figures)
    assert failures == [], "\n\n".join(failures)
    assert figures["answers_5xx"] == 0
    # Most requests reach the routes, and enough of them are accepted.
    assert figures["refused_by_gateway"] < answers.total() * 0.05, answers
    assert figures["accepted"] > answers.total() * 0.2, answers


def _jobs(*, first: bool, missing: int) -> list[Callable[[Platform, Path], Any]]:
    """The concurrent runs: generated cases, and in the first round also all cases that can be enumerated."""
    enumerated = ["--phases", "examples,coverage"]
    one = "/environments/{environment_id}"
    generated = (missing - ENUMERATED * first) // 3
    per_operation, sequences = str(max(4, generated // OPERATIONS)), str(max(4, generated // CALLS_IN_A_SEQUENCE))
    jobs = [
        _job("alice", SHARED_IDS, "--phases", "fuzzing", "--max-examples", per_operation),
        _job("operator", SHARED_IDS, "--phases", "fuzzing", "--max-examples", per_operation),
        _job("alice", SEQUENCE_IDS, "--phases", "stateful", "--max-examples", sequences),
    ]
    if first:
        jobs.append(_job("operator", SHARED_IDS, *enumerated, "--include-path", one))
        jobs.append(_job("operator", SHARED_IDS, *enumerated, "--exclude-path", one))
    return jobs


def _job(caller: str, scratch: Sequence[str], *arguments: str) -> Callable[[Platform, Path], Any]:
    def run(platform: Platform, document: Path) -> Any:
        folder = Path(mkdtemp(dir=document.parent))
        counts, log = folder / "answers.json", folder / "output.txt"
        api = ["--config-file", "fuzz.toml", "run", str(document), "--url", platform.outputs["api_url"]]
        with log.open("w") as output:
            code = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", *api, *arguments, "--no-color"],
                cwd=HERE,
                env={
                    **platform.environment_for(caller),
                    **platform.cloud.marked_environment(),
                    "HYPOTHESIS_STORAGE_DIRECTORY": str(folder),
                    "FUZZ_SCRATCH": ",".join(scratch),
                    "FUZZ_PREPARED": ",".join(PREPARED),
                    "FUZZ_COUNTS": str(counts),
                },
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=TIMEOUT_SECONDS,
            ).returncode  # fmt: skip
        report = f"{caller}: schemathesis {' '.join(arguments)}\n{log.read_text()}"
        return {"answers": json.loads(counts.read_text()), "failures": [report] if code else []}

    return run


def _ready(operator: Client) -> None:
    ready(operator, "fuzz-ready", labels={"team": "a,b"}, variables={"A": "ü"})


def _destroyed(operator: Client) -> None:
    ready(operator, "fuzz-destroyed")
    destroyed(operator, "fuzz-destroyed")


def _failed(operator: Client) -> None:
    put(operator, "fuzz-failed", UNKNOWN)
    assert follow(operator, "fuzz-failed")["status"] == "failed"


def _delete_rows(platform: Platform, rows: Iterable[tuple[str, str]]) -> None:
    """Delete environments and sweeps that no worker acted on from the table."""
    table = platform.cloud.session("operator").resource("dynamodb").Table(platform.outputs["table_name"])
    with table.batch_writer() as writer:
        for pk, sk in rows:
            if pk.startswith(("ENV#fuzz-", "SWEEP#")):
                writer.delete_item(Key={"pk": pk, "sk": sk})

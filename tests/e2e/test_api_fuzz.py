"""The HTTP API under Schemathesis: what its own document calls valid, invalid and possible, tried against the platform.

Real requests, signed, through API Gateway; `fuzz.toml` says which checks hold and why two of them can't. Workers are switched
off meanwhile (a reserved concurrency of nothing, as an operator would), so that thousands of environments stay wishes.

CHAOS_EXAMPLES=10000 asks for at least so many cases; CHAOS_OUT names a file that gets a line with the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from fibfactory_cli.client import Client
from tests.e2e.chaos import wanted_examples, write_figures
from tests.e2e.story import UNKNOWN, ask, destroyed, follow, ready
from tools.platform_on_localcloud import Platform

WANTED = wanted_examples(1000)
PATIENCE = 60 + WANTED
HERE = Path(__file__).parent
LIVED = ("fuzz-ready", "fuzz-gone", "fuzz-failed")
SHARED = ("fuzz-a", "fuzz-b", "fuzz-c")
# Nobody else asks for these: what was removed in a sequence stays removed in it.
OF_SEQUENCES = ("fuzz-d", "fuzz-e")
# About what there is: so many operations, cases that can be enumerated, and calls in a sequence.
OPERATIONS, ENUMERATED, OF_A_SEQUENCE = 13, 1000, 7
_OF_LIVED = tuple(f"ENV#{name}" for name in LIVED)


@pytest.fixture
def wishes_only(platform: Platform, operator: Client) -> Iterator[None]:
    """The operator's environments that were worked on; then no worker until the test is over, and nothing left of it."""
    before = set(_rows(platform))
    with ThreadPoolExecutor(len(LIVED)) as callers:
        list(callers.map(lambda make: make(operator), (_ready, _gone, _failed)))
    functions, name = platform.cloud.session("operator").client("lambda"), platform.outputs["worker_function"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    yield
    # While nobody works still: a worker that is late finds nothing to do.
    _forget(platform, [row for row in _rows(platform) if row not in before and not row[0].startswith(_OF_LIVED)])
    functions.delete_function_concurrency(FunctionName=name)
    for lived in LIVED:
        operator.call("DELETE", f"/environments/{lived}", query={"force": "true"}).checked()
        # Perhaps it was removed before, when nobody could be asked.
        functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"environment": lived}))
        assert follow(operator, lived)["status"] == "destroyed"
    _forget(platform, [row for row in _rows(platform) if row not in before])


def test_the_api_conforms_to_its_openapi_document(
    wishes_only: None, platform: Platform, operator: Client, tmp_path: Path
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
    # Most requests reach the routes, and enough of them do something there.
    assert figures["refused_by_gateway"] < answers.total() * 0.05, answers
    assert figures["accepted"] > answers.total() * 0.2, answers


def _jobs(*, first: bool, missing: int) -> list[Callable[[Platform, Path], Any]]:
    """What runs at the same time: all that can be enumerated, the first time; and what is made up."""
    enumerated = ["--phases", "examples,coverage"]
    one = "/environments/{environment_id}"
    made_up = (missing - ENUMERATED * first) // 3
    per_operation, sequences = str(max(4, made_up // OPERATIONS)), str(max(4, made_up // OF_A_SEQUENCE))
    jobs = [
        _job("alice", SHARED, "--phases", "fuzzing", "--max-examples", per_operation),
        _job("operator", SHARED, "--phases", "fuzzing", "--max-examples", per_operation),
        _job("alice", OF_SEQUENCES, "--phases", "stateful", "--max-examples", sequences),
    ]
    if first:
        jobs.append(_job("operator", SHARED, *enumerated, "--include-path", one))
        jobs.append(_job("operator", SHARED, *enumerated, "--exclude-path", one))
    return jobs


def _job(caller: str, scratch: Sequence[str], *arguments: str) -> Callable[[Platform, Path], Any]:
    def run(platform: Platform, document: Path) -> Any:
        folder = Path(mkdtemp(dir=document.parent))
        counts, said = folder / "answers.json", folder / "said.txt"
        api = ["--config-file", "fuzz.toml", "run", str(document), "--url", platform.outputs["api_url"]]
        with said.open("w") as output:
            code = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", *api, *arguments, "--no-color"],
                cwd=HERE,
                env={
                    **platform.environment_for(caller),
                    **platform.cloud.marked_environment(),
                    "HYPOTHESIS_STORAGE_DIRECTORY": str(folder),
                    "FUZZ_SCRATCH": ",".join(scratch),
                    "FUZZ_LIVED": ",".join(LIVED),
                    "FUZZ_COUNTS": str(counts),
                },
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=PATIENCE,
            ).returncode  # fmt: skip
        told = f"{caller}: schemathesis {' '.join(arguments)}\n{said.read_text()}"
        return {"answers": json.loads(counts.read_text()), "failures": [told] if code else []}

    return run


def _ready(operator: Client) -> None:
    ready(operator, "fuzz-ready", labels={"team": "a,b"}, variables={"A": "ü"})


def _gone(operator: Client) -> None:
    ready(operator, "fuzz-gone")
    destroyed(operator, "fuzz-gone")


def _failed(operator: Client) -> None:
    ask(operator, "fuzz-failed", UNKNOWN)
    assert follow(operator, "fuzz-failed")["status"] == "failed"


def _rows(platform: Platform) -> list[tuple[str, str]]:
    table = platform.cloud.session("operator").client("dynamodb")
    pages = table.get_paginator("scan").paginate(
        TableName=platform.outputs["table_name"], ConsistentRead=True, ProjectionExpression="pk, sk"
    )
    return [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]


def _forget(platform: Platform, rows: list[tuple[str, str]]) -> None:
    """Take away what no worker ever knew of."""
    table = platform.cloud.session("operator").resource("dynamodb").Table(platform.outputs["table_name"])
    with table.batch_writer() as writer:
        for pk, sk in rows:
            if pk.startswith(("ENV#fuzz-", "SWEEP#")):
                writer.delete_item(Key={"pk": pk, "sk": sk})

"""A function loads nothing that only the other one needs: each import is part of its cold start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_TELL = "import json, sys, orchestrator.{handler}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize(
    ("handler", "foreign"),
    [
        (
            "http_handler",
            ("pulumi", "pulumi_aws", "orchestrator.worker", "orchestrator.sweeper", "orchestrator.adapters.pulumi"),
        ),
        ("http_handler", ("aws_lambda_powertools.event_handler.openapi.models",)),
        ("worker_handler", ("orchestrator.api", "aws_lambda_powertools.event_handler")),
    ],
)
def test_a_handler_does_not_import_what_only_the_other_one_needs(handler: str, foreign: tuple[str, ...]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _TELL.format(handler=handler)], capture_output=True, text=True, check=True
    )
    assert set(json.loads(told.stdout)) & set(foreign) == set()

"""The import rules, on a copy of this checkout's packages: an import against them is found, wherever it is added."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.settings import ROOT

pytestmark = pytest.mark.slow

_PACKAGES = ("orchestrator", "bootstrap", "fibservice", "fibfactory_cli", "localcloud", "tools")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages, programs and contracts."""
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "fibfactory.py", "template_stack.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def check(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tools.import_rules"], cwd=house, capture_output=True, text=True)


def test_every_module_is_in_a_layer_and_the_table_names_it(house: Path) -> None:
    result = check(house)
    assert result.returncode == 0, result.stdout + result.stderr
    for layer in ("orchestrator.domain", "orchestrator.sweeper", "bootstrap.program"):
        assert layer in result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("orchestrator/domain/errors.py", "import orchestrator.ports", "Inside the orchestrator imports point one way"),
        ("orchestrator/domain/errors.py", "import pydantic", "orchestrator/domain is pure"),
        ("orchestrator/domain/errors.py", "import boto3", "orchestrator/domain is pure"),
        (
            "orchestrator/worker/recovery.py",
            "import orchestrator.sweeper.due",
            "Inside the orchestrator imports point one way",
        ),
        (
            "orchestrator/api/use_cases.py",
            "import orchestrator.adapters.pulumi.engine",
            "Inside the orchestrator imports point one way",
        ),
        ("orchestrator/stray.py", "", "Inside the orchestrator imports point one way"),
        ("orchestrator/api/use_cases.py", "import boto3", "The domain and its flows know neither AWS nor Pulumi"),
        (
            "orchestrator/api/use_cases.py",
            "import orchestrator.api.routes",
            "No package below another's module imports in a circle",
        ),
        ("orchestrator/wiring.py", "import template_stack", "Only the engine adapter imports template_stack"),
        (
            "orchestrator/wiring.py",
            "import localcloud",
            "The parts that run in different places do not know one another",
        ),
        (
            "fibservice/app.py",
            "import orchestrator.domain.errors",
            "The parts that run in different places do not know one another",
        ),
        ("fibservice/app.py", "import template_stack", "Only the engine adapter imports template_stack"),
        ("bootstrap/errors.py", "import bootstrap.commands", "Inside bootstrap imports point one way"),
        ("bootstrap/errors.py", "import orchestrator.wiring", "bootstrap shares the orchestrator's domain"),
        (
            "localcloud/settings.py",
            "import tools.setup.steps",
            "Nothing that is deployed knows who deploys it, or the tools",
        ),
        ("fibfactory.py", "import orchestrator.api.routes", "fibfactory.py imports orchestrator.api.routes"),
        (
            "template_stack.py",
            "import orchestrator.ports",
            "template_stack.py imports orchestrator.ports",
        ),
    ],
)
def test_an_import_against_the_rules_is_found(house: Path, module: str, source: str, broken: str) -> None:
    with (house / module).open("a") as file:
        file.write(f"\n{source}\n")
    result = check(house)
    assert result.returncode == 1, result.stdout + result.stderr
    assert [line for line in result.stdout.splitlines() if line.startswith(broken) and " BROKEN" in line] or (
        broken in result.stdout and "Missing" in result.stdout + result.stderr
    ), result.stdout + result.stderr

"""The import rules, on small houses built for the purpose: what breaks them is found, what is not built yet is no fault."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def check(house: Path, modules: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the real check, with the real contracts, on a checkout of these modules (path → source)."""
    (house / "tools").mkdir()
    (house / "tools" / "__init__.py").touch()
    shutil.copy(CHECKOUT / "tools" / "import_rules.py", house / "tools")
    shutil.copy(CHECKOUT / "pyproject.toml", house)
    for name, source in modules.items():
        path = house / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in path.relative_to(house).parents[:-1]:
            (house / package / "__init__.py").touch()
        path.write_text(source)
    return subprocess.run([sys.executable, "-m", "tools.import_rules"], cwd=house, capture_output=True, text=True)


GOOD = {
    "orchestrator/handler.py": "from orchestrator import api, wiring",
    "orchestrator/wiring.py": "from orchestrator.adapters import engine",
    "orchestrator/api/routes.py": "from orchestrator import service",
    "orchestrator/api/use_cases.py": "from orchestrator import environment",
    "orchestrator/domain/environment.py": "from orchestrator import errors",
    "orchestrator/domain/errors.py": "",
    "orchestrator/adapters/pulumi/engine.py": "import boto3, template_stack",
    "template_stack.py": "import pulumi_aws",
    "fibservice/app.py": "import flask",
}


def test_a_house_with_parts_still_to_be_built_is_in_order(tmp_path: Path) -> None:
    result = check(tmp_path, GOOD)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("fibservice/app.py", "import orchestrator.domain.errors", "The five packages never import one another"),
        (
            "orchestrator/api/use_cases.py",
            "import orchestrator.api.routes",
            "Inside the orchestrator imports point one way",
        ),
        (
            "orchestrator/domain/errors.py",
            "import orchestrator.api.use_cases",
            "Inside the orchestrator imports point one way",
        ),
        ("orchestrator/wiring.py", "import template_stack", "Only the engine adapter imports template_stack"),
        ("fibservice/app.py", "import template_stack", "Only the engine adapter imports template_stack"),
        ("orchestrator/api/use_cases.py", "import boto3", "The orchestrator's core does not know its adapters"),
        (
            "orchestrator/api/use_cases.py",
            "import orchestrator.adapters.pulumi.engine",
            "The orchestrator's core does not know its adapters",
        ),
    ],
)
def test_an_import_against_the_rules_is_found(tmp_path: Path, module: str, source: str, broken: str) -> None:
    result = check(tmp_path, {**GOOD, module: source})
    assert result.returncode == 1
    assert f"{broken} BROKEN" in result.stdout

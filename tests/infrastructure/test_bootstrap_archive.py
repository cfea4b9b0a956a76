"""The functions' zip contains fibfactory's code only, in the same order everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import SettingsError
from bootstrap.program.archive import ROOT, archive_files, code_archive


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with fibfactory's code and much that is not for the functions."""
    for file in (
        "orchestrator/http_handler.py",
        "orchestrator/adapters/dynamodb/items.py",
        "orchestrator/adapters/__pycache__/table.cpython-311.pyc",
        "orchestrator/.hidden/secret.py",
        "orchestrator/.env",
        "template_stack.py",
        "bootstrap/commands/deploy.py",
        "fibservice/app.py",
        "tests/unit/test_table.py",
        ".local/env",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    return tmp_path


def test_the_archive_contains_the_orchestrator_and_the_template_only(checkout: Path) -> None:
    assert [file.as_posix() for file in archive_files(checkout)] == [
        "orchestrator/adapters/dynamodb/items.py",
        "orchestrator/http_handler.py",
        "template_stack.py",
    ]


def test_the_archive_is_packed_from_exactly_these_files(checkout: Path) -> None:
    assets = code_archive(checkout).assets
    assert {name: Path(asset.path) for name, asset in assets.items()} == {  # type: ignore[union-attr]
        file.as_posix(): checkout / file for file in archive_files(checkout)
    }


def test_an_archive_without_the_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which the archive is made of") as caught:
        code_archive(tmp_path)
    assert "--code image" in caught.value.advice


def test_the_archive_of_this_checkout_has_the_handler_and_no_dependency() -> None:
    files = {file.as_posix() for file in archive_files(ROOT)}
    assert {"orchestrator/http_handler.py", "template_stack.py"} <= files
    assert {file.split("/")[0] for file in files} == {"orchestrator", "template_stack.py"}

"""Archives of code as Pulumi sends them, and the digest of a Docker build's context."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localcloud.provider.archive import ARCHIVE, ASSET, is_packed, zip_bytes
from localcloud.provider.build_context import digest
from localcloud.provider.errors import ProviderError
from localcloud.provider.property_values import SIGNATURE


def asset(**given: Any) -> dict[str, Any]:
    return {SIGNATURE: ASSET, "hash": "h", **given}


def archive(**given: Any) -> dict[str, Any]:
    return {SIGNATURE: ARCHIVE, "hash": "h", **given}


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "code" / "app.py").write_text("app")
    (tmp_path / "code" / "inner" / "run").write_text("run")
    (tmp_path / "code" / "inner" / "run").chmod(0o755)
    return tmp_path


def test_assets_and_nested_archives_are_packed_under_their_names(folder: Path) -> None:
    value = archive(
        assets={
            "text.txt": asset(text="hello"),
            "empty": asset(),
            "file.py": asset(path="code/app.py"),
            "lib": archive(path="code"),
            "deep": archive(assets={"x": asset(text="x")}),
        }
    )
    assert contents(zip_bytes(value, folder)) == {
        "deep/x": b"x",
        "empty": b"",
        "file.py": b"app",
        "lib/app.py": b"app",
        "lib/inner/run": b"run",
        "text.txt": b"hello",
    }


def test_a_folder_is_packed_with_its_executables_and_always_to_the_same_bytes(folder: Path) -> None:
    value = archive(path="code")
    data = zip_bytes(value, folder)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in packed.infolist()}
    assert modes == {"app.py": 0o644, "inner/run": 0o755}
    (folder / "code" / "app.py").touch()
    assert zip_bytes(value, folder) == data


@pytest.mark.parametrize(
    "value",
    [
        asset(text="x"),
        {"plain": "map"},
        archive(path="missing"),
        archive(path="code/app.py"),
        archive(uri="http://127.0.0.1:1/code.zip"),
        archive(assets={"far": asset(uri="http://127.0.0.1:1/far")}),
    ],
)
def test_a_value_that_is_no_archive_or_a_missing_file_is_an_error(folder: Path, value: dict[str, Any]) -> None:
    with pytest.raises(ProviderError):
        zip_bytes(value, folder)


def test_assets_and_archives_are_recognised_by_their_mark() -> None:
    assert is_packed(archive())
    assert is_packed(asset())
    assert not is_packed({"path": "x"})


# -- The context of a build --------------------------------------------------------------------------------------------


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "app.py", "notes.md", "README.md", "cache/one/two.pyc", "cache/keep.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("changed", ["Dockerfile", "app.py", "cache/one/two.pyc"])
def test_a_changed_file_changes_the_digest(context: Path, changed: str) -> None:
    before = digest(context, context / "Dockerfile")
    assert digest(context, context / "Dockerfile") == before
    (context / changed).write_text("other")
    assert digest(context, context / "Dockerfile") != before


def test_a_changed_mode_or_a_new_file_changes_the_digest(context: Path) -> None:
    before = digest(context, context / "Dockerfile")
    (context / "app.py").chmod(0o755)
    after = digest(context, context / "Dockerfile")
    assert after != before
    (context / "new").write_text("")
    assert digest(context, context / "Dockerfile") != after


@pytest.mark.parametrize(
    ("ignored", "counts"),
    [
        (["notes.md"], False),
        (["*.md", "!README.md"], True),
        (["*.md"], False),
        (["cache"], False),
        (["**/*.pyc", "cache/keep.txt"], False),
        (["cache/*", "!cache/keep.txt"], True),
        (["# a comment", "", "app"], True),
    ],
)
def test_files_that_dockerignore_leaves_out_do_not_change_the_digest(
    context: Path, ignored: list[str], counts: bool
) -> None:
    watched = {"notes.md": "notes.md", "*.md": "README.md", "# a comment": "app.py"}.get(ignored[0], "cache/keep.txt")
    (context / ".dockerignore").write_text("\n".join(ignored))
    before = digest(context, context / "Dockerfile")
    (context / watched).write_text("other")
    assert (digest(context, context / "Dockerfile") != before) is counts

"""The bases of the images: their content, the same for each build."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tools.commands import ToolFailure
from tools.images.base import kept, pack, setting


def test_the_same_program_gives_the_same_archive_whenever_it_is_packed(tmp_path: Path) -> None:
    (tmp_path / "pulumi").write_bytes(b"a program")
    first = pack(tmp_path / "pulumi", tmp_path / "first.tar.gz")
    (tmp_path / "pulumi").touch()
    assert pack(tmp_path / "pulumi", tmp_path / "second.tar.gz") == first
    with tarfile.open(tmp_path / "second.tar.gz") as archive:
        assert [(each.name, each.mode) for each in archive] == [("pulumi", 0o755)]


def test_a_cli_that_cannot_run_as_lambdas_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pulumi").write_bytes(b"build\tCGO_ENABLED=1\n")
    with pytest.raises(ToolFailure, match=r"was built with cgo.* Remove it and run make setup"):
        pack(tmp_path / "pulumi", tmp_path / "pulumi.tar.gz")
    # As its publisher builds it.
    (tmp_path / "pulumi").write_bytes(b"build\t-tags=osusergo\nbuild\tCGO_ENABLED=1\n")
    pack(tmp_path / "pulumi", tmp_path / "pulumi.tar.gz")


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("./etc/apt/sources.list", False),
        ("./etc/resolv.conf", False),
        ("./usr/share/doc", False),
        ("./usr/share/documents", True),
        ("./etc/ssl/certs/ca-certificates.crt", True),
        (".", True),
    ],
)
def test_nothing_that_names_the_machine_or_the_archive_stays_in_the_base(name: str, stays: bool) -> None:
    assert (kept(tarfile.TarInfo(name)) is not None) is stays


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("global.timeout='180'", ("timeout", "180")),
        (":env:.index-url='https://example.org/simple?a=b'", ("index-url", "https://example.org/simple?a=b")),
    ],
)
def test_pips_settings_are_read_as_pip_lists_them(line: str, found: tuple[str, str]) -> None:
    assert setting(line) == found

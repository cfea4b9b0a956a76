"""Programs get into the image only with the right SHA-256."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tomllib
from pathlib import Path

import pytest

from tools.commands import ToolFailure
from tools.images import fetch
from tools.images.pins import PINS, fill

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements" / "lambda.txt"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive like the publisher's: the program in a folder, and others beside it."""
    path = tmp_path / "pulumi-v1-linux-x64.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("pulumi/pulumi-language-go", "pulumi/pulumi"):
            content = f"I am {name}".encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def sum_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_only_the_program_is_taken_from_the_archive(archive: Path, tmp_path: Path) -> None:
    assert fetch.main(["pulumi", archive.as_uri(), sum_of(archive), str(tmp_path / "bin")]) == 0
    (program,) = (tmp_path / "bin").iterdir()
    assert program.read_text() == "I am pulumi/pulumi"
    assert program.stat().st_mode & 0o777 == 0o755


def test_a_wrong_sum_is_refused_and_nothing_is_unpacked(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main(["pulumi", archive.as_uri(), "0" * 64, str(tmp_path / "bin")]) == 1
    assert f"has the SHA-256 {sum_of(archive)}, not 000" in capsys.readouterr().err
    assert not (tmp_path / "bin").exists()


def test_a_url_without_a_sum_is_refused_with_what_to_do(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch.main(["pulumi", archive.as_uri(), "", "/nowhere"]) == 1
    assert "has no SHA-256. Run `make images`" in capsys.readouterr().err


def test_an_empty_url_leaves_the_program_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch.main(["pulumi-resource-aws", "", "", str(tmp_path / "bin")]) == 0
    assert "left out" in capsys.readouterr().out
    assert not (tmp_path / "bin").exists()


def test_an_archive_without_the_program_is_refused(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main(["pulumi-resource-aws", archive.as_uri(), sum_of(archive), str(tmp_path / "bin")]) == 1
    assert "holds no file named pulumi-resource-aws" in capsys.readouterr().err


def test_the_pinned_programs_have_the_versions_of_the_pinned_packages() -> None:
    pins = tomllib.loads(PINS.read_text())
    for program, package in (("pulumi", "pulumi"), ("pulumi-resource-aws", "pulumi-aws")):
        found = re.search(rf"^{package}==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
        assert found is not None
        assert pins[program]["version"] == found[1]


PIN = """[pulumi]
version = "1"
url = "https://example.org/pulumi-v{version}.tar.gz"
checksums = "https://example.org/{version}-sums.txt"
sha256 = "pinned"

[other]
version = "2"
url = "https://example.org/other-v{version}.tar.gz"
checksums = "https://example.org/{version}-sums.txt"
sha256 = ""
"""


def test_only_an_empty_sum_is_filled_from_the_publishers_file(tmp_path: Path) -> None:
    file = tmp_path / "pins.toml"
    file.write_text(PIN)
    sums = {"https://example.org/2-sums.txt": f"{'a' * 64}  other-v2.zip\n{'b' * 64}  other-v2.tar.gz\n"}
    said: list[str] = []
    fill(file, said.append, sums.__getitem__)
    assert file.read_text() == PIN.replace('sha256 = ""', f'sha256 = "{"b" * 64}"')
    (line,) = said
    assert "b" * 64 in line and "commit it" in line


@pytest.mark.parametrize("sums", ["", f"{'b' * 64}  another-other-v2.tar.gz\n", f"{'b' * 40}  other-v2.tar.gz\n"])
def test_without_a_published_sum_nothing_changes(tmp_path: Path, sums: str) -> None:
    file = tmp_path / "pins.toml"
    file.write_text(PIN)
    with pytest.raises(ToolFailure, match="has no SHA-256 for other-v2"):
        fill(file, print, lambda _: sums)
    assert file.read_text() == PIN


def test_a_sum_is_read_over_tls_only(tmp_path: Path) -> None:
    file = tmp_path / "pins.toml"
    file.write_text(PIN.replace("https://example.org/{version}-sums", "http://127.0.0.1/{version}-sums"))
    with pytest.raises(ToolFailure, match="is not a https:// URL"):
        fill(file, print)

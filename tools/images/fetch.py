"""Runs inside the build: takes one program out of a `.tar.gz` with a known SHA-256.

    python fetch.py PROGRAM URL SHA256 FOLDER

URL `pinned` and its sum are those of pins.toml, beside this file; an empty URL leaves the program out.

Rule: nothing is unpacked before its sum was compared, and of the archive only the program itself is kept.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import tempfile
import tomllib
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO

_PINS = Path(__file__).with_name("pins.toml")
_SECONDS = 60.0


class Refused(Exception):
    """Why the program is not taken, and what to do."""


def main(arguments: list[str]) -> int:
    """The exit code: 0, or 1 with a sentence on standard error."""
    program, url, sha256, folder = arguments
    try:
        url, sha256 = source(program, url, sha256)
        if url:
            fetch(program, url, sha256, Path(folder))
    except (Refused, OSError, tarfile.TarError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    print(f"{program}: from {url}" if url else f"{program}: left out, as its URL is empty")
    return 0


def source(program: str, url: str, sha256: str) -> tuple[str, str]:
    """URL and sum to use; both empty when the program is left out. Raises `Refused` for a URL without a sum."""
    if url == "pinned":
        pin = tomllib.loads(_PINS.read_text(encoding="utf-8"))[program]
        url, sha256 = pin["url"].format_map(pin), pin["sha256"]
    if url and not sha256:
        raise Refused(
            f"{url} has no SHA-256. Run `make images`, which writes the publisher's into tools/images/pins.toml, "
            "or give the build argument that ends in _SHA256."
        )
    return url, sha256


def fetch(program: str, url: str, sha256: str, folder: Path) -> None:
    """Put `program` from the archive at `url` into `folder`. Raises `Refused`, OSError, TarError."""
    with tempfile.TemporaryFile() as archive:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            shutil.copyfileobj(answer, archive)
        archive.seek(0)
        found = hashlib.file_digest(archive, "sha256").hexdigest()
        if found != sha256.lower():
            raise Refused(f"{url} has the SHA-256 {found}, not {sha256}. Don't use it before you know why.")
        archive.seek(0)
        unpack(program, archive, folder)


def unpack(program: str, archive: IO[bytes], folder: Path) -> None:
    """Put the archive's file of that name into `folder`, executable by all users."""
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        member = next((each for each in tar if each.isfile() and PurePosixPath(each.name).name == program), None)
        content = tar.extractfile(member) if member else None
        if content is None:
            raise Refused(f"the archive holds no file named {program}.")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / program).open("wb") as file:
            shutil.copyfileobj(content, file)
    (folder / program).chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

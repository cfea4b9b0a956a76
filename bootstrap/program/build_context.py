"""The fingerprint of an image's build, which changes with everything that could change the image.

The rule: everything for which the Docker plug-in would build again changes the fingerprint, because a tag can be pushed only
once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bootstrap.errors import SettingsError

_IGNORE = ".dockerignore"


def fingerprint(root: Path, dockerfile: str, arguments: Mapping[str, str]) -> str:
    """A hash of the Dockerfile, its arguments, the folder, and each file that `.dockerignore` includes.

    Raises SettingsError when one of the files is missing.
    """
    # The plug-in identifies a build by its folder, too: the same code in another folder is another build.
    build = json.dumps([str(root), dockerfile, dict(sorted(arguments.items()))])
    whole = hashlib.sha256(build.encode())
    for file in (root / dockerfile, root / _IGNORE, *context_files(root)):
        data = str(file.readlink()).encode() if file.is_symlink() else _read(file)
        mode = file.lstat().st_mode
        whole.update(f"\0{file.relative_to(root)}\0{mode:o}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()


def context_files(root: Path) -> list[Path]:
    """The files that `.dockerignore` includes, sorted. It must exclude everything (`*`), then include by lines with `!`."""
    lines = [line.strip() for line in _read(root / _IGNORE).decode().splitlines()]
    rules = [line for line in lines if line and not line.startswith("#")]
    if rules[:1] != ["*"]:
        raise SettingsError(
            f"{root / _IGNORE} does not begin with `*`, so all of {root} would be sent to Docker.",
            "Begin it with `*`, then include what the image needs by lines such as `!orchestrator`.",
        )
    return sorted({file for rule in rules if rule.startswith("!") for file in _files(root, rule[1:].strip("/"))})


def _files(root: Path, pattern: str) -> Iterator[Path]:
    for found in root.glob(pattern):
        for file in found.rglob("*") if found.is_dir() else (found,):
            # Python may be writing these right now.
            if "__pycache__" not in file.parts and (file.is_symlink() or file.is_file()):
                yield file


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise SettingsError(
            f"{file.parent} does not contain {file.name}, which an image is built from.",
            "Run this from a checkout, or name an existing image with --image-uri.",
        ) from error

"""The fingerprint of an image's build: everything that could make another image of it.

The rule: rather too much than too little. Whatever the Docker plug-in would build anew for has to give another fingerprint, as a
tag that was pushed can't be pushed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bootstrap.errors import SettingsError

_IGNORE = ".dockerignore"


def fingerprint(root: Path, dockerfile: str, arguments: Mapping[str, str]) -> str:
    """A hash over the Dockerfile, its arguments, where it is built, and each file that `.dockerignore` lets in.

    Raises SettingsError when a file it needs isn't there.
    """
    # The plug-in knows a build by its folder, too: the same code in another folder is another build to it.
    told = json.dumps([str(root), dockerfile, dict(sorted(arguments.items()))])
    whole = hashlib.sha256(told.encode())
    for file in (root / dockerfile, root / _IGNORE, *context_files(root)):
        data = str(file.readlink()).encode() if file.is_symlink() else _read(file)
        mode = file.lstat().st_mode
        whole.update(f"\0{file.relative_to(root)}\0{mode:o}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()


def context_files(root: Path) -> list[Path]:
    """The files that `.dockerignore` lets in, sorted. It must be a list of what to let in: `*`, then lines with `!`."""
    lines = [line.strip() for line in _read(root / _IGNORE).decode().splitlines()]
    rules = [line for line in lines if line and not line.startswith("#")]
    if rules[:1] != ["*"]:
        raise SettingsError(
            f"{root / _IGNORE} does not begin with `*`, so that all of {root} would be sent to Docker.",
            "Begin it with `*` and name what to let in by lines such as `!orchestrator`.",
        )
    return sorted({file for rule in rules if rule.startswith("!") for file in _files(root, rule[1:].strip("/"))})


def _files(root: Path, pattern: str) -> Iterator[Path]:
    for found in root.glob(pattern):
        for file in found.rglob("*") if found.is_dir() else (found,):
            # Python writes these while we look.
            if "__pycache__" not in file.parts and (file.is_symlink() or file.is_file()):
                yield file


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no {file.name} in {file.parent} to build an image with.",
            "Run this from a checkout, or name an image that is there with --image-uri.",
        ) from error

"""The digest of a Docker build's context, which tells a diff whether any file of it changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


def digest(context: Path, dockerfile: Path) -> str:
    """A hash over the Dockerfile and the files that `.dockerignore` does not leave out: names, modes, contents."""
    whole = hashlib.sha256()
    whole.update(hashlib.sha256(dockerfile.read_bytes()).digest())
    for path in sorted(_files(context)):
        name = path.relative_to(context).as_posix()
        mode = "link" if path.is_symlink() else "x" if os.access(path, os.X_OK) else "-"
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        whole.update(f"{name}\0{mode}\0".encode() + hashlib.sha256(data).digest())
    return whole.hexdigest()


def _files(context: Path) -> Iterator[Path]:
    rules = _rules(context / ".dockerignore")
    for path in context.rglob("*"):
        if (path.is_file() or path.is_symlink()) and not _ignored(path.relative_to(context).as_posix(), rules):
            yield path


def _rules(file: Path) -> list[tuple[re.Pattern[str], bool]]:
    rules = []
    for line in file.read_text().splitlines() if file.is_file() else []:
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            keeps = pattern.startswith("!")
            rules.append((_pattern(pattern.lstrip("!").strip().strip("/")), keeps))
    return rules


def _ignored(name: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    ignored = False
    for pattern, keeps in rules:
        # As in Docker the last rule that matches decides; a folder's rule holds for all below it.
        if pattern.match(name):
            ignored = not keeps
    return ignored


def _pattern(glob: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(parts.get(token) or re.escape(token) for token in re.split(r"(\*\*/|\*\*|\*|\?)", glob) if token)
    return re.compile(f"{body}(?:/.*)?$")

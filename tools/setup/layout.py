"""The paths of a set-up: names only, no effects.

Rule: a folder is named after everything that it was made from, so a change of any of these makes a new one.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.commands import ToolFailure


@dataclass(frozen=True)
class Layout:
    """The paths of one set-up: a checkout, the shared cache, the virtual environment's key and the CLI's version."""

    checkout: Path
    cache: Path
    venv_key: str
    pulumi_version: str

    @property
    def requirements(self) -> Path:
        """The file of all packages of the virtual environment."""
        return self.checkout / _REQUIREMENTS

    @property
    def link(self) -> Path:
        """The checkout's link to its virtual environment."""
        return self.checkout / ".venv"

    @property
    def venv(self) -> Path:
        """The virtual environment, at its final path from the start: scripts in it contain that path."""
        return self.cache / f"venv-{self.venv_key}"

    @property
    def venv_marker(self) -> Path:
        return self.venv / ".complete"

    @property
    def venv_python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def pulumi_link(self) -> Path:
        """The CLI, beside the virtual environment's commands: one folder on the PATH gives both."""
        return self.venv / "bin" / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """Made by the official installer, or built without cgo: both run as users that the system does not know."""
        return self.cache / "pulumi" / f"{self.pulumi_version}-without-cgo"

    @property
    def pulumi(self) -> Path:
        return self.pulumi_home / "bin" / "pulumi"

    @property
    def pulumi_module(self) -> Path:
        """The Go module that pins the CLI's sources."""
        return self.checkout / "tools" / "pulumi_cli"

    @property
    def lock(self) -> Path:
        return self.cache / "setup.lock"

    @property
    def scratch(self) -> Path:
        """Temporary files of the set-up that holds the lock; without it, those of one that has died."""
        return self.cache / "setup.tmp"


_REQUIREMENTS = Path("requirements", "dev.txt")


def layout_of(checkout: Path, environ: Mapping[str, str]) -> Layout:
    """The layout for this checkout, this interpreter and this user. Raises `ToolFailure`."""
    text = (checkout / _REQUIREMENTS).read_text(encoding="utf-8")
    return Layout(checkout, cache_folder(environ), venv_key(text, interpreter_identity()), pulumi_version(text))


def cache_folder(environ: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/fibfactory` or `~/.cache/fibfactory`; XDG says to ignore a relative `XDG_CACHE_HOME`."""
    configured = Path(environ.get("XDG_CACHE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "fibfactory"


def interpreter_identity() -> str:
    """What a virtual environment depends on besides its packages: which Python, and where it is."""
    return f"{sys.implementation.cache_tag} {sys.version_info[:3]} {sys.base_prefix}"


def venv_key(requirements: str, interpreter: str) -> str:
    """A short name for these packages on this interpreter."""
    return hashlib.sha256(f"{interpreter}\n{requirements}".encode()).hexdigest()[:12]


def pulumi_version(requirements: str) -> str:
    """The CLI's version, which is that of the pinned Python SDK. Raises `ToolFailure` when nothing is pinned."""
    found = re.search(r"^pulumi==([0-9.]+)", requirements, re.MULTILINE)
    if not found:
        raise ToolFailure("requirements/dev.txt pins no pulumi.", "Restore the file, or run: make requirements")
    return found.group(1)

"""A `pulumi` that notes each call and then runs the real CLI."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CountedCli:
    """A folder with such a `pulumi` in it."""

    folder: Path

    def __post_init__(self) -> None:
        wrapper = self.folder / "pulumi"
        self.folder.mkdir()
        self._log.touch()
        wrapper.write_text(f'#!/bin/sh\necho "$@" >> {self._log}\nexec {shutil.which("pulumi")} "$@"\n')
        wrapper.chmod(0o755)

    @property
    def path(self) -> str:
        """A PATH on which it is found first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def commands(self) -> list[str]:
        """The commands called since the last question: `up`, `stack output`."""
        calls = [
            [word for word in line.split() if not word.startswith("-")] for line in self._log.read_text().splitlines()
        ]
        self._log.write_text("")
        return [" ".join(call[:2]) if call[0] == "stack" else call[0] for call in calls]

    @property
    def _log(self) -> Path:
        return self.folder / "calls"

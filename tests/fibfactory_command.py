"""`fibfactory.py`, run as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.settings import ROOT


def fibfactory(
    environment: Mapping[str, str], *arguments: str, folder: Path = ROOT, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with exactly this environment. Raises TimeoutExpired after so many seconds."""
    return subprocess.run(
        [sys.executable, str(ROOT / "fibfactory.py"), *arguments],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )

"""The virtual environment: every package at its pinned version, checked against its hash.

Rule: the marker is written last. A folder without it is unfinished work, and is removed.
pip, not a faster installer, because only pip follows the machine's own pip settings (mirror, certificates, wheels).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.commands import CommandFailed, ToolFailure
from tools.setup.layout import Layout
from tools.setup.steps import NO_SPACE, Workplace, require_space

# Measured: 0.8 GB installed, and at the most as much again of downloads on the way.
MEGABYTES_NEEDED = 1_700

_HINTS = (
    (
        "DO NOT MATCH THE HASHES",
        "The index serves other files than the pinned ones: check your pip settings and mirror.",
    ),
    (
        "No matching distribution found",
        "The index lacks a pinned version, or has none for this Python: check your mirror.",
    ),
    (
        "NewConnectionError|ConnectionError|Name or service not known|name resolution|ProxyError|timed out|SSLError",
        "The package index can't be reached: check the network and your pip settings (pip config list).",
    ),
)


def is_whole(layout: Layout) -> bool:
    """Whether the environment was finished, and its interpreter still is where it was."""
    return layout.venv_marker.is_file() and layout.venv_python.exists()


def make(layout: Layout, workplace: Workplace) -> None:
    """Make the environment at its final path. Raises `ToolFailure`; leaves either a whole one or none."""
    require_space(layout.cache, MEGABYTES_NEEDED, "The virtual environment")
    shutil.rmtree(layout.venv, ignore_errors=True)
    try:
        _fill(layout, workplace)
        layout.venv_marker.touch()
    finally:
        if not is_whole(layout):
            shutil.rmtree(layout.venv, ignore_errors=True)


def _fill(layout: Layout, workplace: Workplace) -> None:
    workplace.require(
        "virtual environment",
        [sys.executable, "-I", "-m", "venv", layout.venv],
        cwd=layout.checkout,
        failure=f"Could not make a virtual environment in {layout.venv}.",
        advice="Check that this works: python3 -m venv /tmp/try",
    )
    python: list[str | Path] = [layout.venv_python, "-I", "-m"]
    pip = [*python, "pip", "install", "--no-input", "--no-user", "--no-compile", "--require-hashes"]
    workplace.require(
        "Python packages, from the index (about half a minute, once)",
        [*pip, "--requirement", layout.requirements],
        cwd=layout.checkout,
        failure="pip could not install the pinned packages.",
        advice="See pip's own words above; then run this again.",
        hints=_HINTS,
    )
    # Once here, on all cores: under PYTHONDONTWRITEBYTECODE each process would compile again (measured:
    # 1.4 s instead of 0.5 s to import what the orchestrator does).
    compile_all = [*python, "compileall", "-q", "-j", "0", layout.venv / "lib"]
    try:
        workplace.run("compiling the packages", compile_all, cwd=layout.checkout)
    except CommandFailed as failed:
        # Some packages hold templates that are not Python; a full disk is another matter.
        pattern, advice = NO_SPACE
        if pattern in failed.output:
            raise ToolFailure("Could not compile the packages.", advice, failed.output) from failed


def link(layout: Layout) -> None:
    """Point the checkout's `.venv` at the environment. Raises `ToolFailure` when something else has that name."""
    if layout.link.exists() and not layout.link.is_symlink():
        raise ToolFailure(
            f"{layout.link} is a folder of yours, not a link made by set-up.",
            "Remove or rename it, then run this again.",
        )
    replace_link(layout.link, layout.venv)


def replace_link(at: Path, target: Path) -> None:
    """Make `at` a link to `target` in one step, so that it is never missing."""
    if at.is_symlink() and at.readlink() == target:
        return
    beside = at.with_name(f"{at.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(at)

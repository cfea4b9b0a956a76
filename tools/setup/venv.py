"""The virtual environment: every package at its pinned version, checked against its hash.

The rule kept: the marker is written last. A folder without it is somebody's unfinished work, and is removed.
pip, not a faster installer, because only pip follows the machine's own pip settings (mirror, certificates, wheels).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.setup.failures import SetupFailure, advice_for, require_space
from tools.setup.layout import Layout
from tools.setup.steps import CommandFailed, Workplace, fail

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
    """Make the environment at its final path. Raises `SetupFailure`; leaves either a whole one or none."""
    require_space(layout.cache, MEGABYTES_NEEDED, "The virtual environment")
    shutil.rmtree(layout.venv, ignore_errors=True)
    try:
        _fill(layout, workplace)
        layout.venv_marker.touch()
    finally:
        if not is_whole(layout):
            shutil.rmtree(layout.venv, ignore_errors=True)


def _fill(layout: Layout, workplace: Workplace) -> None:
    def run(title: str, *command: str | Path) -> None:
        workplace.run(title, command, cwd=layout.checkout)

    try:
        run("virtual environment", sys.executable, "-I", "-m", "venv", layout.venv)
    except CommandFailed as failed:
        advice = advice_for(failed.output, (), "Check that this works: python3 -m venv /tmp/try")
        raise fail(f"Could not make a virtual environment in {layout.venv}.", failed, advice) from failed
    packages = "Python packages, from the index (about half a minute, once)"
    pip: list[str | Path] = [
        layout.venv_python,
        "-I",
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-user",
        "--no-compile",
    ]
    try:
        run(packages, *pip, "--require-hashes", "--requirement", layout.requirements)
    except CommandFailed as failed:
        advice = advice_for(failed.output, _HINTS, "See pip's own words above; then run this again.")
        raise fail("pip could not install the pinned packages.", failed, advice) from failed
    # Once here, on all cores: under PYTHONDONTWRITEBYTECODE each process would compile again (measured:
    # 1.4 s instead of 0.5 s to import what the orchestrator does).
    try:
        run(
            "compiling the packages", layout.venv_python, "-I", "-m", "compileall", "-q", "-j", "0", layout.venv / "lib"
        )
    except CommandFailed as failed:
        # Some packages hold templates that are not Python; a full disk is another matter.
        if "No space left" in failed.output:
            raise fail("Could not compile the packages.", failed, advice_for(failed.output, (), "")) from failed


def link(layout: Layout) -> None:
    """Point the checkout's `.venv` at the environment. Raises `SetupFailure` when something else has that name."""
    if layout.link.exists() and not layout.link.is_symlink():
        raise SetupFailure(
            f"{layout.link} is a folder of yours, not a link of ours.", "Remove or rename it, then run this again."
        )
    replace_link(layout.link, layout.venv)


def replace_link(at: Path, target: Path) -> None:
    """Make `at` a link to `target` in one step: nobody ever sees it missing."""
    if at.is_symlink() and at.readlink() == target:
        return
    beside = at.with_name(f"{at.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(at)

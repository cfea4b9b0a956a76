"""The docker command, as far as building images needs it.

Rule: it works with both builders, as machines without buildx have only the classic one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.docker_cli import DockerFailed, docker, no_docker
from tools.commands import CommandFailed, Progress, Say, ToolFailure, run

_PLATFORM = ("--platform", "linux/amd64")


def missing() -> str | None:
    """Why images can't be built here, as a sentence; None when a daemon answers."""
    if shutil.which("docker") is None:
        return "There is no docker command on the PATH."
    reason = no_docker()
    return f"There is a docker command, but no daemon answers it ({reason})." if reason else None


def has(image: str) -> bool:
    """Whether the daemon has this image already."""
    return _works("image", "inspect", image)


def pull(image: str, say: Say) -> bool:
    """Get an image from its registry; whether that worked."""
    try:
        _run(f"{image}, pulled", ["pull", *_PLATFORM, image], say)
    except ToolFailure:
        return False
    return True


def load(archive: Path, image: str, say: Say) -> None:
    """Make an image of one layer from a root file system."""
    _run(f"{image}, imported", ["import", *_PLATFORM, "--change", 'CMD ["python"]', archive, image], say)


def build(tag: str, dockerfile: Path, context: Path, arguments: Mapping[str, str], say: Say) -> None:
    """Build an image. On the host's network, as a proxy or a package index may listen on the machine's loopback."""
    options = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
    builder = {} if _works("buildx", "version") else {"DOCKER_BUILDKIT": "0"}
    words: list[str | Path] = ["build", "--network", "host", "--tag", tag, "--file", dockerfile, *options, context]
    _run(tag, words, say, environ={**os.environ, **builder})


def _run(title: str, words: Sequence[str | Path], say: Say, *, environ: Mapping[str, str] | None = None) -> None:
    try:
        run(["docker", *words], Progress(title, say), environ=environ)
    except CommandFailed as failed:
        raise ToolFailure(f"{title}: docker failed.", "See Docker's own words above.", failed.output) from failed


def _works(*arguments: str) -> bool:
    try:
        docker(*arguments)
    except DockerFailed:
        return False
    return True

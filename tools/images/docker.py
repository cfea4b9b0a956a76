"""The docker command, as far as building and looking at images needs it.

Rule: both builders will do, as machines without buildx have the classic one only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.images.steps import ImageFailure, Progress, run

_SECONDS_TO_ANSWER = 20.0


def missing() -> str | None:
    """Why images can't be built here, as a sentence; None when a daemon answers."""
    if shutil.which("docker") is None:
        return "There is no docker command on the PATH."
    answer = _ask("info", "--format", "{{.ServerVersion}}")
    if answer.returncode or not answer.stdout.strip():
        said = (answer.stderr.strip() or "no version").splitlines()[-1]
        return f"There is a docker command, but no daemon answers it ({said})."
    return None


def require() -> None:
    """Raise `ImageFailure` unless a daemon answers."""
    if reason := missing():
        raise ImageFailure(reason, "Install Docker and start its daemon, then run this again.")


def has(image: str) -> bool:
    """Whether the daemon has this image already."""
    return _ask("image", "inspect", image).returncode == 0


def pull(image: str, progress: Progress) -> bool:
    """Get an image from its registry; whether that worked."""
    command = ["docker", "pull", "--platform", "linux/amd64", image]
    try:
        run(f"{image}, pulled", command, progress, advice="Is its registry reachable?")
    except ImageFailure:
        return False
    return True


def load(archive: Path, image: str, progress: Progress) -> None:
    """Make an image of one layer from a root file system."""
    command: list[str | Path] = [
        "docker",
        "import",
        "--platform",
        "linux/amd64",
        "--change",
        'CMD ["python"]',
        archive,
        image,
    ]
    run(f"{image}, imported", command, progress, advice="See Docker's own words above.")


def build(
    tag: str, dockerfile: Path, context: Path, arguments: Mapping[str, str], progress: Progress, network: str = "host"
) -> None:
    """Build an image. On the host's network, as a proxy or a package index may listen on the machine's loopback."""
    options = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
    command: list[str | Path] = [
        "docker",
        "build",
        "--network",
        network,
        "--tag",
        tag,
        "--file",
        dockerfile,
        *options,
        context,
    ]
    run(tag, command, progress, advice="See the build's own words above.", environ={**os.environ, **_builder()})


def _builder() -> dict[str, str]:
    return {} if _ask("buildx", "version").returncode == 0 else {"DOCKER_BUILDKIT": "0"}


def _ask(*arguments: str, timeout: float = _SECONDS_TO_ANSWER) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(error.cmd, 1, "", f"no answer within {timeout:.0f} s")

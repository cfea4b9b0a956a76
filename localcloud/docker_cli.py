"""The docker command, to run a cloud's containers and to remove them.

Rule: each container of a cloud carries the cloud's mark as a label, so that the clean-up after a crash finds it.
"""

from __future__ import annotations

import subprocess

from localcloud.registry import Registry

LABEL = "fibfactory.cloud"
_SECONDS = 60.0
_ANSWER_SECONDS = 10.0


class DockerFailed(Exception):
    """The command failed; the message is the last line of its output."""


def docker(*arguments: str, seconds: float = _SECONDS) -> str:
    """The command's output. Raises DockerFailed, also when there is no such command, or it does not end in time."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise DockerFailed(f"docker {arguments[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"docker {arguments[0]} ended with code {done.returncode}"]
        raise DockerFailed(said[-1])
    return done.stdout


def no_docker() -> str | None:
    """Why there is no Docker here; None when a daemon answers."""
    try:
        docker("version", "--format", "{{.Server.Version}}", seconds=_ANSWER_SECONDS)
    except DockerFailed as error:
        return str(error)
    return None


def remove_all_of(mark: str, registry: Registry) -> None:
    """Remove what a cloud left in Docker: its containers, and what was pulled from its registry.

    Without Docker there is nothing to remove. What cannot be removed stays: the watchdog has nowhere to report it.
    """
    try:
        marked = ("--filter", f"label={LABEL}={mark}")
        containers = docker("ps", "--all", "--quiet", *marked, seconds=_ANSWER_SECONDS).split()
        if containers:
            docker("rm", "--force", "--volumes", *containers)
        shown = docker("image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}").split()
        pulled = [name for name in shown if name.startswith(f"{registry.address}/") and not name.endswith("<none>")]
        if pulled:
            docker("image", "rm", *pulled)
    except DockerFailed:
        return

"""Containers for tests: started, inspected, and always removed at the end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from localcloud.settings import Ports


def docker(*arguments: str) -> str:
    """The output of a docker command; fails with its error output."""
    answer = subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, f"docker {' '.join(arguments)}: {answer.stderr}"
    return answer.stdout.strip()


@dataclass(frozen=True)
class Container:
    """A running container."""

    id: str

    def run(self, *command: str) -> str:
        """The output of a command run in it."""
        return docker("exec", self.id, *command)

    def processes(self) -> list[str]:
        """The id and command of each process in it, sorted."""
        _, *lines = docker("top", self.id, "-o", "pid,args").splitlines()
        return sorted(lines)

    def logs(self) -> str:
        both = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True)
        return both.stdout + both.stderr

    def inspect(self) -> Any:
        return json.loads(docker("inspect", self.id))[0]


@contextmanager
def container(
    image: str, *command: str, options: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """A running container of this image."""
    variables = [part for name, value in (environment or {}).items() for part in ("--env", f"{name}={value}")]
    running = Container(docker("run", "--detach", *options, *variables, image, *command))
    try:
        yield running
    finally:
        docker("rm", "--force", "--volumes", running.id)


def python(image: str, program: str) -> str:
    """The output of a Python program in a new container of this image."""
    return docker("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", program)


def free_ports() -> tuple[int, int]:
    """Two free ports of loopback."""
    ports = Ports.free()
    return ports.ministack, ports.apprunner

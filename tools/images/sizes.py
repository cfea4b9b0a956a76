"""What fills an image: its biggest parts, measured inside a container of it.

Rule: parts add up to all files, so nothing is left out of the sum.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from localcloud.docker_cli import docker

_SECONDS = 600.0
_PROGRAM = """
import collections, json, os
sizes = collections.Counter()
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    for file in files:
        path = os.path.join(folder, file)
        depth = 4 if path.startswith("/opt/") else 3 if path.startswith("/var/task") else 0
        part = "/".join(path.split("/")[:depth]) if depth else "the base"
        sizes[part] += 0 if os.path.islink(path) else os.path.getsize(path)
print(json.dumps(sizes.most_common()))
"""


@dataclass(frozen=True)
class Part:
    """A part of an image, and its size in MB (a million bytes)."""

    name: str
    megabytes: float


def parts(image: str) -> list[Part]:
    """All parts, the biggest first. Raises DockerFailed."""
    options = ("--rm", "--network", "none", "--user", "0", "--entrypoint", "python")
    answer = docker("run", *options, image, "-c", _PROGRAM, seconds=_SECONDS)
    return [Part(name, size / 1e6) for name, size in json.loads(answer)]

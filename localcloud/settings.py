"""The ports of a local cloud, the Pulumi CLI that it uses, and the constants that all its parts share."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import CloudError, PortTaken

REGION = "us-west-2"
ACCOUNT = "000000000000"
HOST = "127.0.0.1"
DEFAULT_BASE_PORT = 4566
PULUMI_VERSION = "3.250.0"
ROOT = Path(__file__).resolve().parent.parent

# Below Linux's ephemeral ports (32768 and up), so that no outgoing connection takes one between choosing and binding.
_FREE_PORTS = range(20000, 32000)


@dataclass(frozen=True)
class Ports:
    """The ports of the three parts, on loopback."""

    ministack: int
    apprunner: int
    provider: int

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """Three ports in a row, beginning with `base`."""
        return cls(ministack=base, apprunner=base + 1, provider=base + 2)

    @classmethod
    def free(cls) -> Ports:
        """Three ports that are free now."""
        found: list[int] = []
        for port in random.sample(_FREE_PORTS, k=300):
            if port_is_free(port):
                found.append(port)
            if len(found) == 3:
                return cls(*found)
        raise CloudError("No free ports between 20000 and 32000 on 127.0.0.1. Stop programs that listen there.")

    def refuse_taken(self) -> None:
        """Raise PortTaken for the first port that another program listens on."""
        for port in (self.ministack, self.apprunner, self.provider):
            if not port_is_free(port):
                raise PortTaken(port)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_pulumi_bin(environ: Mapping[str, str]) -> Path | None:
    """The folder of the Pulumi CLI: on the PATH, else in set-up's cache, else None."""
    on_path = shutil.which("pulumi", path=environ.get("PATH", ""))
    if on_path:
        return Path(on_path).parent
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "fibfactory" / "pulumi" / f"{PULUMI_VERSION}-without-cgo" / "bin"
    return cached if (cached / "pulumi").is_file() else None

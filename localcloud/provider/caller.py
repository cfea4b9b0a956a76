"""The process at the other end of a connection: its environment and the folder its program runs in.

The official plug-in is a child of the CLI and inherits the CLI's environment. This provider is attached to and serves many
CLIs at once, so it looks at the process that owns the other end of the loopback connection. The rule: what an engine may
do is decided by its own process's credentials, never by this one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from localcloud.provider.errors import ProviderError


@dataclass(frozen=True)
class Caller:
    """A process that calls: its id, its environment, and the folder relative paths of its program start from."""

    pid: int
    environment: Mapping[str, str] = field(repr=False)
    folder: Path


def caller_at(peer: str, server: int) -> Caller:
    """The process behind a gRPC peer such as `ipv4:127.0.0.1:41234`; `server`: the port it is connected to.

    Both ends are compared, because one local port may have several connections, to different servers. Raises ProviderError
    when there is no such process on this machine, or it belongs to another user.
    """
    host, _, port = peer.rpartition(":")
    if not port.isdigit() or not host.startswith(("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")):
        raise ProviderError(f"the provider serves loopback TCP connections only, not {peer}")
    for connection in psutil.net_connections(kind="tcp"):
        near, far = connection.laddr, connection.raddr
        if connection.pid and near and far and (near.port, far.port) == (int(port), server):
            return _describe(connection.pid)
    raise ProviderError(f"no process of this machine and user owns the connection {peer}")


def _describe(pid: int) -> Caller:
    try:
        process = psutil.Process(pid)
        return Caller(pid=pid, environment=process.environ(), folder=_program_folder(Path(process.cwd())))
    except (psutil.Error, OSError) as exc:
        raise ProviderError(f"cannot look at the calling process {pid}: {exc}") from exc


def _program_folder(folder: Path) -> Path:
    """Where the engine runs the program and starts its plug-ins: `main` of the project file, else the CLI's folder.

    For an inline program the Automation API writes the project file into a temporary folder with `main` set to the
    program's own working folder.
    """
    files = (folder / name for name in ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json"))
    file = next((file for file in files if file.is_file()), None)
    try:
        # JSON is YAML too.
        project = yaml.safe_load(file.read_text()) if file else None
    except (OSError, ValueError, yaml.YAMLError):
        project = None
    main = project.get("main") if isinstance(project, dict) else None
    path = folder / main if main else folder
    return path if path.is_dir() else path.parent

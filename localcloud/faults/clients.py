"""The calling process, found once for a connection.

Rule: the search is slow (it reads every process's open files), so it happens only when a fault needs the process.
"""

from __future__ import annotations

from functools import cached_property

import psutil

from localcloud.provider.caller import caller_at
from localcloud.provider.errors import ProviderError


class Client:
    """The other end of one connection to a loopback port."""

    def __init__(self, host: str, port: int, server: int) -> None:
        self._peer = f"ipv4:{host}:{port}"
        self._server = server

    @cached_property
    def pid(self) -> int | None:
        """Its process, None when it has ended or cannot be seen."""
        try:
            return caller_at(self._peer, self._server).pid
        except ProviderError:
            return None


def command_line(pid: int | None) -> str:
    """The process's command line; empty when it has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline()) if pid else ""
    except psutil.Error:
        return ""

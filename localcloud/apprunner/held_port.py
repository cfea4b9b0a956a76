"""Loopback ports that stay reserved for a service while it does not run.

Rule: a port that was given to one service is never given to another one of the same emulator, so that a service that
is created again under the same name has another URL.

On Linux the port is held by a socket that is bound but does not listen: both sides set SO_REUSEADDR, as servers do,
so the service can bind and listen beside it, while the kernel gives the port to no other program's outgoing
connection. On other systems nothing holds it.
"""

from __future__ import annotations

import socket
import sys
import threading

from localcloud.settings import HOST


class HeldPort:
    """A free port that was bound for a moment or, on Linux, until `release`. OSError when there is none."""

    def __init__(self) -> None:
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind((HOST, 0))
        self.number: int = self._holder.getsockname()[1]
        if sys.platform != "linux":
            self._holder.close()

    def release(self) -> None:
        """Give the port back. Can be called again."""
        self._holder.close()


class Ports:
    """Hands out ports, each once; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: set[int] = set()

    def hold(self) -> HeldPort:
        """A free port that was not given before. OSError when there is none."""
        with self._lock:
            while (port := HeldPort()).number in self._given:
                port.release()
            self._given.add(port.number)
            return port

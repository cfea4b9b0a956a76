"""Loopback ports that stay reserved for a service while it does not run.

Rule: a port that was given to one service is never given to another one of the same emulator, so that a service that
is created again under the same name has another URL.

The port is held by a socket that is bound but does not listen: both sides set SO_REUSEADDR, as servers do, so the
service can bind and listen beside it, while the kernel (Linux) gives the port to no other program's outgoing
connection.
"""

from __future__ import annotations

import socket
import threading

from localcloud.settings import HOST


class Ports:
    """Hands out ports, each once; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: set[int] = set()

    def hold(self) -> socket.socket:
        """A socket that holds a free port until it is closed. OSError when there is none."""
        with self._lock:
            while (held := _bound()).getsockname()[1] in self._given:
                held.close()
            self._given.add(held.getsockname()[1])
            return held


def _bound() -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((HOST, 0))
    return held

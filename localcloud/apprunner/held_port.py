"""A loopback port that is kept for a service while nothing of it runs.

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

HOST = "127.0.0.1"


class HeldPort:
    """One port; `release` gives it back."""

    def __init__(self, holder: socket.socket) -> None:
        self._holder = holder
        self.number: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()

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
            while True:
                holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                holder.bind((HOST, 0))
                port = HeldPort(holder)
                if port.number not in self._given:
                    self._given.add(port.number)
                    return port
                port.release()

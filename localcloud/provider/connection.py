"""What belongs to one engine's connection: who calls, how it was configured, whether it cancelled.

Rule: an engine opens one connection for each provider of its program, so this is also where one program's two
providers with different default tags are kept apart.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import psutil

from localcloud.provider.caller import Caller, caller_at
from localcloud.provider.clients import Access, Clients, access_of


class Connection:
    """One engine's provider: its caller, configuration, clients and cancel flag."""

    def __init__(self, caller: Caller, config: Mapping[str, Any] | None = None) -> None:
        self.caller = caller
        self.config = dict(config or {})
        self.cancelled = threading.Event()

    def configured(self, config: Mapping[str, Any]) -> Connection:
        """The same connection with a configuration, fresh clients and no cancel."""
        return Connection(self.caller, config)

    @cached_property
    def clients(self) -> Clients:
        """The clients of this connection. Raises ProviderError without credentials."""
        return Clients(access_of(self.caller.environment, self.config))

    @property
    def access(self) -> Access:
        """What the clients sign with."""
        return self.clients.access

    @property
    def default_tags(self) -> Mapping[str, str]:
        """The tags the provider puts on everything that takes tags."""
        tags: Mapping[str, str] = (self.config.get("defaultTags") or {}).get("tags") or {}
        return tags

    @cached_property
    def account(self) -> str:
        """The caller's account number, asked once."""
        return str(self.clients.get("sts").get_caller_identity()["Account"])


class Connections:
    """All connections to one server port, by gRPC peer."""

    def __init__(self) -> None:
        self.port = 0
        self._lock = threading.Lock()
        self._open: dict[str, Connection] = {}

    def begin(self, peer: str) -> None:
        """A new connection from this peer; what an earlier one from the same port left is forgotten."""
        connection = Connection(caller_at(peer, self.port))
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if psutil.pid_exists(one.caller.pid)}
            self._open[peer] = connection

    def configure(self, peer: str, config: Mapping[str, Any]) -> Connection:
        """Give the peer's connection its configuration."""
        connection = self.get(peer).configured(config)
        with self._lock:
            self._open[peer] = connection
        return connection

    def get(self, peer: str) -> Connection:
        """The peer's connection, begun now if it was not."""
        with self._lock:
            known = self._open.get(peer)
        if known is None:
            self.begin(peer)
            with self._lock:
                known = self._open[peer]
        return known

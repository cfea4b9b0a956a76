"""What belongs to one engine's connection: who calls, its configuration and clients, and whether it was cancelled.

An engine opens one connection for each provider of its program, so one program's two providers with different default
tags are also kept apart here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import psutil

from localcloud.provider.caller import Caller, caller_at
from localcloud.provider.clients import Access, access_of, client


class Connection:
    """One engine's provider: its caller, configuration, clients and cancel flag."""

    def __init__(self, caller: Caller, config: Mapping[str, Any] | None = None) -> None:
        self.caller = caller
        self.config = dict(config or {})
        self.cancelled = threading.Event()
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a boto3 service name, in the connection's region or another.

        Raises ProviderError without credentials, region or endpoint.
        """
        key = (service, region or self.access.region)
        # Two threads that both find none make one too many, which does no harm.
        if key not in self._clients:
            self._clients[key] = client(self.access, *key)
        return self._clients[key]

    @cached_property
    def access(self) -> Access:
        """The keys, region and endpoints of the clients."""
        return access_of(self.caller.environment, self.config)

    @property
    def default_tags(self) -> Mapping[str, str]:
        """The tags the provider puts on everything that takes tags."""
        tags: Mapping[str, str] = (self.config.get("defaultTags") or {}).get("tags") or {}
        return tags

    @cached_property
    def account(self) -> str:
        """The caller's account number, asked once."""
        return str(self.client("sts").get_caller_identity()["Account"])


class Connections:
    """All connections to one server port, by gRPC peer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._open: dict[str, Connection] = {}

    def begin(self, peer: str) -> Connection:
        """A new connection from this peer. Connections of processes that have ended are dropped."""
        connection = Connection(caller_at(peer, self._port))
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if psutil.pid_exists(one.caller.pid)}
            self._open[peer] = connection
        return connection

    def configure(self, peer: str, config: Mapping[str, Any]) -> None:
        """Replace the peer's connection by one with a configuration, new clients and no cancel."""
        connection = Connection(self.get(peer).caller, config)
        with self._lock:
            self._open[peer] = connection

    def get(self, peer: str) -> Connection:
        """The peer's connection, begun now if it was not."""
        with self._lock:
            known = self._open.get(peer)
        return known or self.begin(peer)

"""The errors of the local cloud's processes. Each message says what happened and what to do next."""

from __future__ import annotations


class CloudError(Exception):
    """The local cloud cannot start, run or stop as asked."""


class PortTaken(CloudError):
    """A port that was asked for is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program. If that is a local cloud, stop it with "
            f"`make down`; else choose other ports: FIBFACTORY_PORT={port + 10000 if port < 50000 else 14566} make up"
        )
        self.port = port


class NotReady(CloudError):
    """A part ended, or did not answer in time, while it was started; the message ends with the end of its log."""


class FolderInUse(CloudError):
    """The folder belongs to a running cloud, or holds files that are not a cloud's."""

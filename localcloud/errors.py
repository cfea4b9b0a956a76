"""The errors of the local cloud's processes, for the person who started it.

    CloudError
    ├── PortTaken     a fixed port belongs to another program
    ├── NotReady      a part ended, or did not answer in time, while it was started
    └── FolderInUse   the folder belongs to a cloud that is running, or holds things that are not a cloud's

Rule: each message says what happened and what to do next.
"""

from __future__ import annotations


class CloudError(Exception):
    """The local cloud cannot do what was asked; the message says why and what to do."""


class PortTaken(CloudError):
    """A port that was asked for is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program. If that is a local cloud, stop it with "
            f"`make down`; else choose other ports: FIBFACTORY_PORT={port + 10000 if port < 50000 else 14566} make up"
        )
        self.port = port


class NotReady(CloudError):
    """A part of the cloud did not become ready; the message ends with the end of its log."""


class FolderInUse(CloudError):
    """The folder given for the cloud cannot be used."""

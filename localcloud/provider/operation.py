"""One operation of one engine on one resource: its inputs, its clients, and waits that a cancel ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from localcloud.provider import tags
from localcloud.provider.connection import Connection
from localcloud.provider.diff import Change
from localcloud.provider.errors import ProviderError, code_of, message_of

# How soon a cancel is noticed, in seconds.
_SLICE = 0.2


@dataclass
class Operation:
    """What a resource handler is given.

    connection: the engine's. token: the resource's type. inputs: the wanted properties. outputs: the last known ones.
    changed: what differs, in an update. timeout: seconds allowed, 0 for the handler's own limit. alive: false once the
    engine's connection has ended. id: set by a create as soon as AWS has given one, so that a later failure still
    reports the resource.
    """

    connection: Connection
    token: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    old_inputs: Mapping[str, Any] = field(default_factory=dict)
    changed: list[Change] = field(default_factory=list)
    timeout: float = 0
    alive: Callable[[], bool] = lambda: True
    id: str = ""

    def client(self, service: str) -> Any:
        """The boto3 client, in the resource's own `region` if it has one."""
        return self.connection.client(service, self.inputs.get("region") or self.outputs.get("region"))

    @property
    def region(self) -> str:
        """The region this resource is in."""
        return str(self.inputs.get("region") or self.outputs.get("region") or self.connection.access.region)

    @property
    def all_tags(self) -> Any:
        """The provider's default tags with the resource's own on top; UNKNOWN when a preview cannot know these yet."""
        return tags.merged(self.connection.default_tags, self.inputs.get("tags"))

    def has_changed(self, *roots: str) -> bool:
        """Whether one of these top-level properties differs; without names, whether any but the tags does."""
        found = {change.root for change in self.changed}
        return bool(found & set(roots)) if roots else bool(found - {"tags", "tagsAll"})

    def check_cancelled(self) -> None:
        """Raises ProviderError when the engine asked to stop, or its connection has ended."""
        if self.connection.cancelled.is_set() or not self.alive():
            raise ProviderError("context canceled")

    def pause(self, seconds: float) -> None:
        """Wait; a cancel ends the wait."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check_cancelled()
            self.connection.cancelled.wait(min(left, _SLICE))
        self.check_cancelled()

    def wait(
        self,
        fetch: Callable[[], str | None],
        *,
        pending: tuple[str, ...],
        target: tuple[str | None, ...],
        limit: float,
        what: str,
    ) -> None:
        """Poll `fetch` for a status until it is one of `target`; None means that the resource is gone.

        The intervals are those of the Terraform SDK's StateChangeConf: 0, 0.2, 0.4 … 6.4, then 10 s. Raises ProviderError
        after `limit` seconds (the resource's own timeout wins) and on a status neither pending nor target.
        """
        deadline = time.monotonic() + (self.timeout or limit)
        interval = 0.0
        while True:
            self.check_cancelled()
            status = fetch()
            if status in target:
                return
            wanted = ", ".join(str(name) for name in target if name) or "''"
            if status not in pending:
                raise ProviderError(f"{what}: unexpected state '{status}', wanted target '{wanted}'.")
            left = deadline - time.monotonic()
            if left <= 0:
                raise ProviderError(
                    f"{what}: timeout while waiting for state to become '{wanted}' (last state: '{status}')"
                )
            interval = 0.2 if interval == 0 else min(interval * 2, 10.0) if interval < 6.4 else 10.0
            self.pause(min(interval, left))

    def retry(self, call: Callable[[], Any], *, codes: tuple[str, ...], text: str, limit: float = 120) -> Any:
        """Call, and again while AWS answers one of `codes` with `text` in its message: a new role takes time to be known."""
        deadline = time.monotonic() + limit
        while True:
            self.check_cancelled()
            try:
                return call()
            except ClientError as exc:
                if code_of(exc) not in codes or text not in message_of(exc) or time.monotonic() > deadline:
                    raise
            self.pause(1)

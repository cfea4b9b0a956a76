"""A client of the emulator's own door, for tests and for whoever sets the stage.

Rule: typed on both ends by the same models as the door's; an answer other than 2xx is an exception.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from pydantic import BaseModel, TypeAdapter

from localcloud.apprunner.control_api import PREFIX
from localcloud.apprunner.settings import Behaviour, Delays, Fault, FaultKind
from localcloud.apprunner.views import Advance, CallView, ClockView, ServiceView

_TIMEOUT = 60.0


class DoorRefused(Exception):
    """The door answered with an error; the message is its answer."""


class AppRunnerAdmin:
    """The door of the emulator at `base_url`, for example `http://127.0.0.1:4567`."""

    def __init__(self, base_url: str) -> None:
        self._url = base_url.rstrip("/") + PREFIX
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    def __enter__(self) -> AppRunnerAdmin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.clear()

    def behaviour(self) -> Behaviour:
        """The settings that hold now."""
        return Behaviour.model_validate_json(self._send("GET", "/settings"))

    def behave(
        self, *, delays: Mapping[str, float] | None = None, clock_speed: float | None = None, quota: int | None = None
    ) -> Behaviour:
        """Change what is given and keep the rest; `delays` by name (create, update, delete, pause, resume), in
        seconds of the clock.
        """
        now = self.behaviour()
        changed = Behaviour(
            delays=Delays.model_validate(now.delays.model_dump() | dict(delays or {})),
            clock_speed=now.clock_speed if clock_speed is None else clock_speed,
            quota=now.quota if quota is None else quota,
        )
        return Behaviour.model_validate_json(self._send("PUT", "/settings", changed))

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """No operation ends meanwhile, however long it takes; then the clock goes on at its old speed."""
        before = self.behaviour().clock_speed
        self.behave(clock_speed=0)
        try:
            yield
        finally:
            self.behave(clock_speed=before)

    def inject(self, kind: FaultKind | str, *, operation: str = "*", service: str = "*", times: int = 1) -> list[Fault]:
        """Let a fault happen to the next `times` calls of matching operations on matching services; returns all that
        wait.
        """
        fault = Fault(kind=FaultKind(kind), operation=operation, service=service, times=times)
        return TypeAdapter(list[Fault]).validate_json(self._send("POST", "/faults", fault))

    def faults(self) -> list[Fault]:
        """The faults that have not happened yet."""
        return TypeAdapter(list[Fault]).validate_json(self._send("GET", "/faults"))

    def clear_faults(self) -> None:
        """Let none of them happen."""
        self._send("DELETE", "/faults")

    def now(self) -> float:
        """The emulator's time, in seconds since the epoch."""
        return ClockView.model_validate_json(self._send("GET", "/clock")).now

    def advance(self, seconds: float) -> float:
        """Move the emulator's clock on; returns its new time."""
        return ClockView.model_validate_json(self._send("POST", "/clock/advance", Advance(seconds=seconds))).now

    def services(self) -> list[ServiceView]:
        """All services of all regions, deleted ones too, with their processes."""
        return TypeAdapter(list[ServiceView]).validate_json(self._send("GET", "/services"))

    def calls(self) -> list[CallView]:
        """The calls to AWS's side, oldest first."""
        return TypeAdapter(list[CallView]).validate_json(self._send("GET", "/calls"))

    def reset(self) -> None:
        """Remove every service, fault and call, and behave as at the start; returns when all processes are gone."""
        self._send("POST", "/reset")

    def _send(self, method: str, path: str, body: BaseModel | None = None) -> bytes:
        sent: dict[str, Any] = {"body": body.model_dump_json()} if body else {}
        answer = self._http.request(method, self._url + path, headers={"Content-Type": "application/json"}, **sent)
        if not 200 <= answer.status < 300:
            raise DoorRefused(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')}")
        return answer.data

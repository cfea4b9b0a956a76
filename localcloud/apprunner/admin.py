"""A client of the emulator's control API, for tests and other programs that prepare a situation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import urllib3
from pydantic import BaseModel, TypeAdapter

from localcloud.apprunner.control_api import PREFIX
from localcloud.apprunner.settings import Behaviour, Delays, Fault, FaultKind
from localcloud.apprunner.views import Advance, CallView, ServiceView

_TIMEOUT = 60.0
_T = TypeVar("_T")


class ControlApiError(Exception):
    """The control API answered with an error; the message is its answer."""


class AppRunnerAdmin:
    """The control API of the emulator at `base_url`, for example `http://127.0.0.1:4567`.

    Any answer other than 2xx is a ControlApiError.
    """

    def __init__(self, base_url: str) -> None:
        self._url = base_url.rstrip("/") + PREFIX

    def behaviour(self) -> Behaviour:
        """The settings that hold now."""
        return self._get("/settings", Behaviour)

    def behave(
        self, *, delays: Mapping[str, float] | None = None, clock_speed: float | None = None, quota: int | None = None
    ) -> None:
        """Change the given settings and keep the rest; `delays` by name (create, update, delete, pause, resume), in
        seconds of the clock.
        """
        now = self.behaviour()
        changed = Behaviour(
            delays=Delays.model_validate(now.delays.model_dump() | dict(delays or {})),
            clock_speed=now.clock_speed if clock_speed is None else clock_speed,
            quota=now.quota if quota is None else quota,
        )
        self._send("PUT", "/settings", changed)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop the clock for the block, so that no operation ends; afterwards it runs at its old speed."""
        before = self.behaviour().clock_speed
        self.behave(clock_speed=0)
        try:
            yield
        finally:
            self.behave(clock_speed=before)

    def inject(self, kind: FaultKind | str, *, operation: str = "*", service: str = "*", times: int = 1) -> None:
        """Let the next `times` calls of matching operations on matching services fail."""
        self._send("POST", "/faults", Fault(kind=FaultKind(kind), operation=operation, service=service, times=times))

    def faults(self) -> list[Fault]:
        """The faults that have not happened yet."""
        return self._get("/faults", list[Fault])

    def clear_faults(self) -> None:
        """Remove all waiting faults."""
        self._send("DELETE", "/faults")

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock on."""
        self._send("POST", "/clock/advance", Advance(seconds=seconds))

    def services(self) -> list[ServiceView]:
        """All services of all regions, deleted ones too, with their processes."""
        return self._get("/services", list[ServiceView])

    def calls(self) -> list[CallView]:
        """The calls to AWS's API, oldest first."""
        return self._get("/calls", list[CallView])

    def reset(self) -> None:
        """Remove every service, fault and call, and restore the settings; returns when all processes have ended."""
        self._send("POST", "/reset")

    def _get(self, path: str, answer: type[_T]) -> _T:
        return TypeAdapter(answer).validate_json(self._send("GET", path))

    def _send(self, method: str, path: str, body: BaseModel | None = None) -> bytes:
        sent = body.model_dump_json() if body else None
        headers = {"Content-Type": "application/json"}
        answer = urllib3.request(method, self._url + path, body=sent, headers=headers, timeout=_TIMEOUT, retries=False)
        if not 200 <= answer.status < 300:
            raise ControlApiError(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')}")
        return answer.data

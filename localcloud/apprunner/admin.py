"""A client of the emulator's control API, for tests and for programs that prepare a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import urllib3
from pydantic import BaseModel, TypeAdapter

from localcloud.apprunner.control_api import PREFIX
from localcloud.apprunner.settings import Behaviour, Delays, Fault, FaultKind
from localcloud.apprunner.views import Advance, CallView, ClockView, ServiceView

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
        return self._call("GET", "/settings", Behaviour)

    def behave(
        self, *, delays: Mapping[str, float] | None = None, clock_speed: float | None = None, quota: int | None = None
    ) -> Behaviour:
        """Change the given settings and keep the rest; `delays` by name (create, update, delete, pause, resume), in
        seconds of the clock.
        """
        now = self.behaviour()
        changed = Behaviour(
            delays=Delays.model_validate(now.delays.model_dump() | dict(delays or {})),
            clock_speed=now.clock_speed if clock_speed is None else clock_speed,
            quota=now.quota if quota is None else quota,
        )
        return self._call("PUT", "/settings", Behaviour, changed)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop the clock for the block, so that no operation ends; afterwards it runs at its old speed."""
        before = self.behaviour().clock_speed
        self.behave(clock_speed=0)
        try:
            yield
        finally:
            self.behave(clock_speed=before)

    def inject(self, kind: FaultKind | str, *, operation: str = "*", service: str = "*", times: int = 1) -> list[Fault]:
        """Let the next `times` calls of matching operations on matching services fail; returns all waiting faults."""
        fault = Fault(kind=FaultKind(kind), operation=operation, service=service, times=times)
        return self._call("POST", "/faults", list[Fault], fault)

    def faults(self) -> list[Fault]:
        """The faults that have not happened yet."""
        return self._call("GET", "/faults", list[Fault])

    def clear_faults(self) -> None:
        """Remove all waiting faults."""
        self._send("DELETE", "/faults")

    def now(self) -> float:
        """The emulator's time, in seconds since the epoch."""
        return self._call("GET", "/clock", ClockView).now

    def advance(self, seconds: float) -> float:
        """Move the emulator's clock on; returns its new time."""
        return self._call("POST", "/clock/advance", ClockView, Advance(seconds=seconds)).now

    def services(self) -> list[ServiceView]:
        """All services of all regions, deleted ones too, with their processes."""
        return self._call("GET", "/services", list[ServiceView])

    def calls(self) -> list[CallView]:
        """The calls to AWS's API, oldest first."""
        return self._call("GET", "/calls", list[CallView])

    def reset(self) -> None:
        """Remove every service, fault and call, and restore the settings; returns when all processes have ended."""
        self._send("POST", "/reset")

    def _call(self, method: str, path: str, answer: type[_T], body: BaseModel | None = None) -> _T:
        return TypeAdapter(answer).validate_json(self._send(method, path, body))

    def _send(self, method: str, path: str, body: BaseModel | None = None) -> bytes:
        sent: dict[str, Any] = {"body": body.model_dump_json()} if body else {}
        answer = self._http.request(method, self._url + path, headers={"Content-Type": "application/json"}, **sent)
        if not 200 <= answer.status < 300:
            raise ControlApiError(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')}")
        return answer.data

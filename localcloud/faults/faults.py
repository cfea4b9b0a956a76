"""The faults: what happens, to which calls, and when.

    proxy.arm(Fault(Match("s3", "PutObject", about="test1"), answer(503, "SlowDown"), times=3))
    proxy.arm(Fault(Match("apprunner", "CreateService"), cut, moment=Moment.AFTER))

Rule: a fault counts matching calls in the order of their arrival and happens to those that it is due for; the oldest
fault comes first, and only one happens to a call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from localcloud.faults.calls import Call, command_line


class Moment(StrEnum):
    """Before the call reaches the cloud, or after it took effect and before its client gets the answer."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Refusal:
    """An error that the proxy answers in the cloud's place."""

    status: int
    code: str
    message: str = "An injected fault."


class Cut:
    """No answer: the connection is closed."""


CUT = Cut()
Outcome = Refusal | Cut | None
"""What the proxy does with the call; None: it passes."""

Action = Callable[[Call], Outcome]
"""What a fault does to a call."""


def answer(status: int, code: str) -> Action:
    """Answer this error."""
    return lambda call: Refusal(status, code)


def cut(call: Call) -> Outcome:
    """Close the connection."""
    return CUT


def delay(seconds: float) -> Action:
    """Delay the call, then let it pass."""

    def wait(call: Call) -> Outcome:
        time.sleep(seconds)
        return None

    return wait


@dataclass(frozen=True)
class Match:
    """Which calls. Service, operation and target are shell patterns.

    `about` is a text in the target, the body, or the caller's command line; `also` is a further condition.
    """

    service: str = "*"
    operation: str = "*"
    target: str = "*"
    about: str = ""
    also: Callable[[Call], bool] = lambda call: True

    def __call__(self, call: Call) -> bool:
        return (
            fnmatchcase(call.service, self.service)
            and fnmatchcase(call.operation, self.operation)
            and fnmatchcase(call.target, self.target)
            and (not self.about or call.mentions(self.about) or self.about in command_line(call.client()))
            and self.also(call)
        )


@dataclass(frozen=True)
class Fault:
    """The action happens at the `nth` matching call and then at each `every`th of them, `times` times in all."""

    match: Match
    action: Action
    moment: Moment = Moment.BEFORE
    nth: int = 1
    every: int = 1
    times: int = 1


class Armed:
    """A fault that waits to happen. `happened` is set when it first did; `calls` are those that it happened to."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.happened = threading.Event()
        self.calls: list[Call] = []
        self._seen = 0
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether it has happened as often as it should."""
        return len(self.calls) >= self.fault.times

    def takes(self, call: Call) -> bool:
        """Whether it happens to this call, which is counted if it matches."""
        if self.over or not self.fault.match(call):
            return False
        with self._lock:
            self._seen += 1
            late = self._seen - self.fault.nth
            if self.over or late < 0 or late % self.fault.every:
                return False
            self.calls.append(call)
        return True

    def happens_at(self, moment: Moment, call: Call) -> Outcome:
        """Carry out the action, if this is the fault's moment."""
        if moment is not self.fault.moment:
            return None
        try:
            return self.fault.action(call)
        finally:
            self.happened.set()


class Faults:
    """The armed faults of one proxy; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[Armed, ...] = ()

    def arm(self, fault: Fault) -> Armed:
        """Let a fault happen to the calls to come."""
        armed = Armed(fault)
        with self._lock:
            self._armed = (*(each for each in self._armed if not each.over), armed)
        return armed

    def disarm(self, *gone: Armed) -> None:
        """Remove these faults; without arguments, all of them."""
        with self._lock:
            self._armed = tuple(each for each in self._armed if gone and each not in gone)

    def take(self, call: Call) -> Armed | None:
        """The fault that happens to this call, if any; those armed after it do not see the call."""
        return next((armed for armed in self._armed if armed.takes(call)), None)

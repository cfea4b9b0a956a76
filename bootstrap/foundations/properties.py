"""One property of a bucket or key: read it, compare it with what is wanted, set it only where it differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bootstrap.errors import FoundationsError
from orchestrator.adapters.aws_errors import none_if

Report = Callable[[str], None]
"""Takes one line about something that was changed."""
_PROPAGATION_SECONDS = 30.0
"""How long S3 may take to show a bucket's new configuration. It promises no time; usually it is at once."""


@dataclass(frozen=True)
class Property:
    """`wanted` may be a part of what `read` returns, because AWS adds fields and operators add rules."""

    name: str
    read: Callable[[], Any]
    wanted: Any
    write: Callable[[Any, Any], object]
    """Takes what is wanted and what was found, of which it keeps what others added."""
    unset: tuple[str, ...] = ()
    """The error codes with which AWS answers that it was never set."""

    def ensure(self, report: Report) -> None:
        """Set the property unless it is as wanted, then wait until AWS shows it. Raises FoundationsError if it never does."""
        found = none_if(self.unset, self.read)
        if covers(found, self.wanted):
            return
        self.write(self.wanted, found)
        deadline = time.monotonic() + _PROPAGATION_SECONDS
        while not covers(none_if(self.unset, self.read), self.wanted):
            if time.monotonic() > deadline:
                raise FoundationsError(
                    f"AWS accepted {self.name}, but does not show it.",
                    "Run it again; if that does not help, look at the bucket in the console.",
                )
            time.sleep(0.5)
        report(f"set {self.name}")


def covers(actual: Any, wanted: Any) -> bool:
    """Whether `actual` contains all of `wanted`: mappings by key, lists in any order; an empty value may be missing."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        return all(covers(actual.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(actual, list):
        return all(any(covers(one, value) for one in actual) for value in wanted)
    return bool(actual == wanted or not (actual or wanted))

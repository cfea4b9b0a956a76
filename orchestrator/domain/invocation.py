"""How one invocation's time is divided: work, an orderly stop, and the end of the lease.

The rule: the lease ends after the function's hard limit, so a lease that has run out proves that its holder is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_SIGNALS = 3.6
"""Three signals, each firmer than the last, and some time to write down the outcome, fit between `stop_at` and `ends_at`."""


@dataclass(frozen=True)
class InvocationLimits:
    """Work is stopped gracefully at `stop_at`, the invocation is over at `ends_at`, and the lease ends at `lease_until`."""

    stop_at: datetime
    ends_at: datetime
    lease_until: datetime
    grace: float = 25.0
    """Seconds between one signal to stop and a firmer one."""

    @classmethod
    def of(
        cls, now: datetime, remaining: timedelta, *, stop_before: timedelta, lease_margin: timedelta
    ) -> InvocationLimits:
        """The limits of an invocation that has `remaining` time left. In a short one, the stop takes a third of it at most."""
        stop_before = min(stop_before, remaining / 3)
        ends_at = now + remaining
        return cls(
            stop_at=ends_at - stop_before,
            ends_at=ends_at,
            lease_until=ends_at + lease_margin,
            grace=stop_before.total_seconds() / _SIGNALS,
        )

"""The lease: one worker at a time may change an environment, and a worker that lost it writes nothing.

The rule: the token only grows; every change that a worker makes goes through `require_lease`, and the table writes it only if the
record is still the version that was read. Together they fence off a worker that slept through its lease's end.
The lease ends at the holder's hard limit plus a margin, so one that ran out proves its holder dead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orchestrator.domain.environment import Environment, Lease, LeaseSpan
from orchestrator.domain.errors import LeaseLost

_REMEMBERED_DEATHS = 20


def claim(
    environment: Environment, holder: str, now: datetime, until: datetime, host: str | None = None
) -> Environment | None:
    """The record with the lease claimed under the next token, or None while another worker holds it.

    A lease that ran out was a dead worker's: its time and machine are remembered, because what that worker left in the engine's
    state is told by them, and its death counts as an attempt, so that an operation that kills its workers ends as failed.
    """
    if not environment.lease_free(now):
        return None
    before = environment.lease
    if before.holder is not None and before.since is not None and before.until is not None:
        expired = (*environment.expired_leases, LeaseSpan(before.since, before.until, before.host))[
            -_REMEMBERED_DEATHS:
        ]
        environment = replace(environment, expired_leases=expired, attempts=environment.attempts + 1)
    lease = Lease(token=before.token + 1, holder=holder, host=host, since=now, until=until)
    return replace(environment, lease=lease, version=environment.version + 1)


def require_lease(environment: Environment, token: int) -> Environment:
    """The record as it is, when this token holds its lease. Raises LeaseLost otherwise."""
    if environment.lease.holder is None or environment.lease.token != token:
        raise LeaseLost(f"The lease of {environment.id} with token {token} is not held any more; nothing was written.")
    return environment


def release(environment: Environment, token: int) -> Environment:
    """The record with the lease let go. Its token stays, as the next claim counts on from it.

    A change that arrives between reading the record and writing this one makes the write fail, so no change is slept through.
    """
    require_lease(environment, token)
    lease = Lease(token=token)
    return replace(environment, lease=lease, operation=None, version=environment.version + 1)

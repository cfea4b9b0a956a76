"""The lease: one worker at a time may change an environment, and a worker that lost the lease writes nothing.

The rule: the token only grows. Every change by a worker goes through `require_lease`, and the table writes it only if the record
is still the version that was read; together they fence off a worker that outlives its lease. The lease ends after the holder's
hard limit, so a lease that has ended proves its holder dead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orchestrator.domain.environment import Environment, Lease, LeaseSpan
from orchestrator.domain.errors import LeaseLost

_KEPT_LEASES = 20


def claim(
    environment: Environment, holder: str, now: datetime, until: datetime, host: str | None = None
) -> Environment | None:
    """The record with the lease claimed under the next token, or None while another worker holds it.

    A lease that has ended was a dead worker's. Its time and host are kept, as they identify the locks that the worker left; and
    its death counts as an attempt, so that an operation which kills its workers ends as failed.
    """
    if not environment.lease_free(now):
        return None
    before = environment.lease
    if before.holder is not None and before.since is not None and before.until is not None:
        expired = (*environment.expired_leases, LeaseSpan(before.since, before.until, before.host))[-_KEPT_LEASES:]
        environment = replace(environment, expired_leases=expired, attempts=environment.attempts + 1)
    lease = Lease(token=before.token + 1, holder=holder, host=host, since=now, until=until)
    return replace(environment, lease=lease, version=environment.version + 1)


def require_lease(environment: Environment, token: int) -> Environment:
    """The record itself, if this token holds its lease. Raises LeaseLost otherwise."""
    if environment.lease.holder is None or environment.lease.token != token:
        raise LeaseLost(f"Token {token} does not hold the lease of {environment.id} any more. Nothing was written.")
    return environment


def release(environment: Environment, token: int) -> Environment:
    """The record with the lease released. The token stays, as the next claim counts on from it.

    A change that arrives between reading and writing makes the write fail, so that no change is missed.
    """
    require_lease(environment, token)
    lease = Lease(token=token)
    return replace(environment, lease=lease, operation=None, version=environment.version + 1)

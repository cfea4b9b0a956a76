"""The lease: one worker at a time may change an environment, and a worker that lost it writes nothing.

The rule: the token only grows; every change that a worker makes goes through `held`, and the table writes it only if the
record is still the version that was read. Together they fence off a worker that slept through its lease's end.
The lease ends at the holder's hard limit plus a margin, so one that ran out proves its holder dead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orchestrator.environment import Environment, Lease
from orchestrator.errors import LeaseLost


def claim(environment: Environment, holder: str, now: datetime, until: datetime) -> Environment | None:
    """The record with the lease claimed under the next token, or None while another worker holds it."""
    if not environment.lease_free(now):
        return None
    lease = Lease(token=environment.lease.token + 1, holder=holder, until=until)
    return replace(environment, lease=lease, version=environment.version + 1)


def held(environment: Environment, token: int) -> Environment:
    """The record as it is, when this token holds its lease. Raises LeaseLost otherwise."""
    if environment.lease.holder is None or environment.lease.token != token:
        raise LeaseLost(f"The lease of {environment.id} with token {token} is not held any more; nothing was written.")
    return environment


def let_go(environment: Environment, token: int) -> Environment:
    """The record with the lease let go. Its token stays, as the next claim counts on from it.

    A change that arrives between reading the record and writing this one makes the write fail, so no change is slept through.
    """
    held(environment, token)
    lease = replace(environment.lease, holder=None, until=None)
    return replace(environment, lease=lease, operation=None, version=environment.version + 1)

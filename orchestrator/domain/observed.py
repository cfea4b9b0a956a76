"""What a worker writes about its work: mark_started, ready, gone, failed, interrupted.

The rule: pure, and every function asks for the lease's token first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.environment import Environment, Failure, Observed, Operation, Receipt
from orchestrator.domain.errors import OperationFailed, Terminal, Transient
from orchestrator.domain.lease import require_lease

MAX_ATTEMPTS = 5
"""Transient failures of one generation, dead workers among them, before it has failed for good."""
MAX_INVOCATIONS = 16
"""Invocations that one operation may take, in a chain and sent by the sweep, before it has failed for good."""
_FIRST_BACKOFF = timedelta(seconds=30)


def mark_started(environment: Environment, token: int, operation: Operation) -> Environment:
    """The operation begins. Until it ends well, the engine's state can't be trusted, whatever becomes of this worker."""
    return _written(require_lease(environment, token), operation=operation, needs_refresh=True, retry_at=None)


def mark_ready(environment: Environment, token: int, observed: Observed) -> Environment:
    """The environment answers as this generation of the spec wants it. What came in meanwhile stays outstanding."""
    return _written(
        require_lease(environment, token),
        observed=observed,
        operation=None,
        needs_refresh=False,
        expired_leases=(),
        failure=None,
        attempts=0,
        continuations=0,
        retry_at=None,
    )


def mark_destroyed(environment: Environment, token: int, receipt: Receipt) -> Environment:
    """The environment is gone, and the receipt proves it.

    The receipt is kept only if it is still wanted absent; asked for again meanwhile, it starts from nothing.
    """
    changed = _written(
        require_lease(environment, token),
        observed=Observed(),
        operation=None,
        needs_refresh=False,
        expired_leases=(),
        failure=None,
        attempts=0,
        continuations=0,
        retry_at=None,
    )
    return replace(changed, receipt=None if environment.present else receipt)


def mark_failed(
    environment: Environment, token: int, generation: int, operation: Operation, error: OperationFailed, now: datetime
) -> Environment:
    """The operation on this generation failed: a transient failure is tried again, five attempts in all; any other is final.

    It says nothing about what was asked for meanwhile: that stays outstanding and is tried.
    """
    if require_lease(environment, token).generation != generation:
        return _written(environment, operation=None)
    attempts = environment.attempts + 1
    again = isinstance(error, Transient) and attempts < MAX_ATTEMPTS
    return _written(
        environment,
        operation=None,
        attempts=attempts,
        failure=Failure(operation=operation, code=error.code, message=error.message, final=not again, at=now),
        retry_at=now + _FIRST_BACKOFF * 2 ** (attempts - 1) if again else None,
    )


def mark_interrupted(
    environment: Environment, token: int, generation: int, operation: Operation, now: datetime
) -> Environment:
    """The operation was stopped in order and goes on in another invocation; after too many of them it has failed for good.

    One that was stopped because something newer is wanted counts for nothing.
    """
    if require_lease(environment, token).generation != generation:
        return _written(environment, operation=None, dispatched_at=now)
    continuations = environment.continuations + 1
    if continuations >= MAX_INVOCATIONS:
        error = Terminal(
            f"{continuations} invocations could not end it. App Runner may be wedged on the service: look at it in the "
            "console, and ask again when it is idle.",
            "too_long",
        )
        return mark_failed(environment, token, generation, operation, error, now)
    return _written(environment, operation=None, continuations=continuations, dispatched_at=now)


def _written(environment: Environment, **changes: object) -> Environment:
    return replace(environment, version=environment.version + 1, **changes)  # type: ignore[arg-type]

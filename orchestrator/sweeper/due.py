"""What is due: expired environments, requests that no worker picked up, dead workers' leases, next tries.

The rule: `plan` is pure, and its condition is checked again in the write, because indexes lag and callers are quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orchestrator.domain import desired
from orchestrator.domain.environment import Environment
from orchestrator.ports import Dispatcher, Event, Records
from orchestrator.sweeper.report import DISPATCHED, LEFT, Step, failure

EXPIRIES_PER_RUN = 100
"""So many expired environments are removed in one run, the longest overdue first; the next run takes the rest."""

LOOKED_FOR = "what is due: expiries, requests not picked up, leases of dead workers, next tries"


class Action(StrEnum):
    LOOK = "look"
    EXPIRE = "expire"
    RECOVER = "recover"
    RETRY = "retry"
    SEND_AGAIN = "send again"


def plan(environment: Environment, now: datetime) -> Step | None:
    """What is due for one environment, or None. Pure: the sweep asks again right before it writes."""
    due_at = environment.due_at
    if due_at is None or due_at > now:
        return None
    action, because = _what_and_why(environment, now)
    return Step(environment.id, action, because, overdue_seconds=int((now - due_at).total_seconds()))


def _what_and_why(environment: Environment, now: datetime) -> tuple[Action, str]:
    if environment.expired(now):
        return Action.EXPIRE, f"its time was up at {_text(environment.expires_at)}"
    if environment.lease.holder:
        return Action.RECOVER, f"its worker's lease ended at {_text(environment.lease.until)}"
    if environment.retry_at:
        return Action.RETRY, f"try {environment.attempts + 1} was due at {_text(environment.retry_at)}"
    return Action.SEND_AGAIN, f"no worker came since {_text(environment.dispatched_at)}"


@dataclass(frozen=True)
class DueSweep:
    records: Records
    dispatcher: Dispatcher
    clock: Callable[[], datetime]

    def steps(self, *, dry_run: bool, stop_at: datetime) -> Iterator[Step]:
        """Do what is due, the earliest first, until the time is up; what was not reached is left for the next run."""
        expiries = 0
        for environment_id in list(self.records.due(self.clock())):
            if self.clock() >= stop_at:
                yield Step(environment_id, Action.LOOK, "it was due", outcome=LEFT)
                continue
            step = self._step(environment_id, dry_run=dry_run, full=expiries == EXPIRIES_PER_RUN)
            if step:
                expiries += step.action == Action.EXPIRE and step.outcome != LEFT
                yield step

    def _step(self, environment_id: str, *, dry_run: bool, full: bool) -> Step | None:
        step = Step(environment_id, Action.LOOK, "it was due")
        try:
            environment = self.records.get(environment_id)
            planned = plan(environment, self.clock()) if environment else None
            if environment is None or planned is None:
                return None
            step = planned
            if full and step.action == Action.EXPIRE:
                return replace(step, outcome=LEFT)
            return step if dry_run else self._do(step, environment)
        except Exception as error:
            return replace(step, outcome=failure(error))

    def _do(self, step: Step, environment: Environment) -> Step:
        now = self.clock()
        if step.action == Action.EXPIRE:
            after = desired.remove(environment, f"expired: {step.because}", now)
        else:
            after = desired.dispatched(environment, now)
        self.records.replace(environment, after, Event(now, step.action, f"By the sweep: {step.because}."))
        self.dispatcher.work(environment.id)
        return replace(step, outcome=DISPATCHED)


def _text(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"

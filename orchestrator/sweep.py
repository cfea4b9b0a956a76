"""The sweep of what is due: expired environments, requests that no worker picked up, dead workers' leases, next tries.

The rule: `plan` is pure, and the sweep only decides and dispatches; workers do. Each action's condition is checked again in its
write, because indexes lag and callers are quicker. One that fails never stops the others, and each is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator import desire
from orchestrator.environment import Environment
from orchestrator.errors import FibfactoryError, VersionConflict
from orchestrator.ports import Dispatcher, Event, Records, Reports

EXPIRIES_PER_RUN = 100
"""So many expired environments are removed in one run, the longest overdue first; the next run takes the rest."""


class Action(StrEnum):
    EXPIRE = "expire"
    RECOVER = "recover"
    RETRY = "retry"
    SEND_AGAIN = "send again"


@dataclass(frozen=True)
class Step:
    """One thing that the sweep would do, and why."""

    environment: str
    action: Action
    because: str
    outcome: str = "planned"


def plan(environment: Environment, now: datetime) -> Step | None:
    """What is due for one environment, or None. Pure: the sweep asks again right before it writes."""
    due_at = environment.due_at
    if due_at is None or due_at > now:
        return None
    if environment.expired(now):
        return Step(environment.id, Action.EXPIRE, f"its time was up at {_text(environment.expires_at)}")
    if environment.lease.holder:
        return Step(environment.id, Action.RECOVER, f"its worker's lease ended at {_text(environment.lease.until)}")
    if environment.retry_at:
        return Step(
            environment.id, Action.RETRY, f"try {environment.attempts + 1} was due at {_text(environment.retry_at)}"
        )
    return Step(environment.id, Action.SEND_AGAIN, f"no worker came since {_text(environment.dispatched_at)}")


@dataclass(frozen=True)
class Sweep:
    records: Records
    reports: Reports
    dispatcher: Dispatcher
    clock: Callable[[], datetime]

    def run(self, sweep_id: str, *, dry_run: bool, limit: timedelta) -> Mapping[str, Any]:
        """Sweep once and store the plan or report, which is also returned. One at a time; `limit` is the invocation's time."""
        started = self.clock()
        if not dry_run and not self.reports.acquire(sweep_id, started, started + limit):
            return self._report(sweep_id, started, dry_run, (), status="skipped: another sweep is running")
        try:
            steps = tuple(self._steps(self.records.due(started), dry_run=dry_run))
        except FibfactoryError as error:
            self._report(sweep_id, started, dry_run, (), status=f"failed: {error.message}")
            raise
        finally:
            if not dry_run:
                self.reports.release(sweep_id)
        return self._report(sweep_id, started, dry_run, steps, status="planned" if dry_run else "done")

    def _steps(self, due: Iterable[str], *, dry_run: bool) -> Iterable[Step]:
        expiries = 0
        for environment_id in due:
            try:
                environment = self.records.get(environment_id)
                step = plan(environment, self.clock()) if environment else None
                if environment is None or step is None:
                    continue
                expiries += step.action is Action.EXPIRE
                if expiries > EXPIRIES_PER_RUN and step.action is Action.EXPIRE:
                    yield replace(step, outcome="left for the next run")
                else:
                    yield step if dry_run else replace(step, outcome=self._do(step, environment))
            except FibfactoryError as error:
                yield Step(environment_id, Action.SEND_AGAIN, "it was due", outcome=f"failed: {error.message}")

    def _do(self, step: Step, environment: Environment) -> str:
        now = self.clock()
        if step.action is Action.EXPIRE:
            after = desire.remove(environment, f"expired: {step.because}", now)
        else:
            after = desire.dispatched(environment, now)
        try:
            self.records.replace(environment, after, Event(now, str(step.action), f"By the sweep: {step.because}."))
        except VersionConflict:
            return "changed meanwhile; left alone"
        self.dispatcher.work(environment.id)
        return "dispatched"

    def _report(
        self, sweep_id: str, started: datetime, dry_run: bool, steps: tuple[Step, ...], status: str
    ) -> Mapping[str, Any]:
        report = {
            "id": sweep_id,
            "status": status,
            "dry_run": dry_run,
            "started_at": _text(started),
            "ended_at": _text(self.clock()),
            "steps": [asdict(step) for step in steps],
            "looked_for": "what is due: expiries, requests not picked up, leases of dead workers, next tries",
        }
        self.reports.write(sweep_id, report)
        return report


def _text(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"

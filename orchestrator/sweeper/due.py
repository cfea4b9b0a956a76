"""What is due: expired environments, requests without a worker, leases of dead workers, retries.

The rule: `due_finding` is pure, and its condition is checked again in the write, because indexes lag and records change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from orchestrator.domain import desired
from orchestrator.domain.environment import Environment
from orchestrator.domain.events import Event, EventKind
from orchestrator.domain.sweeps import Action, Finding, FindingKind, Outcome
from orchestrator.ports import Ports
from orchestrator.sweeper.report import failed

EXPIRIES_PER_RUN = 100
"""How many expired environments one run removes, the longest overdue first; the next run takes the rest."""

LOOKED_FOR = "what is due: expiries, requests without a worker, leases of dead workers, retries"


def due_finding(environment: Environment, now: datetime) -> Finding | None:
    """What is due for one environment, or None. Pure: the sweep asks again right before it writes."""
    due_at = environment.due_at
    if due_at is None or due_at > now:
        return None
    action = Action.DISPATCH
    if environment.expired(now):
        action, kind, because = (
            Action.REMOVE,
            FindingKind.EXPIRED,
            f"its TTL ended at {_text(environment.expires_at)}",
        )
    elif environment.lease.holder:
        kind, because = FindingKind.LEASE_EXPIRED, f"its worker's lease ended at {_text(environment.lease.until)}"
    elif environment.retry_at:
        kind, because = (
            FindingKind.RETRY_DUE,
            f"attempt {environment.attempts + 1} was due at {_text(environment.retry_at)}",
        )
    else:
        kind, because = FindingKind.NOT_PICKED_UP, f"no worker has come since {_text(environment.dispatched_at)}"
    return Finding(kind, action, environment.id, because, overdue_seconds=int((now - due_at).total_seconds()))


@dataclass(frozen=True)
class DueSweep:
    ports: Ports

    def findings(self, *, dry_run: bool, stop_at: datetime) -> Iterator[Finding]:
        """Do what is due, the earliest first, until the time is over; the rest is deferred to the next run."""
        expiries = 0
        for environment_id in list(self.ports.records.due(self.ports.clock())):
            listed = Finding(FindingKind.DUE, Action.DISPATCH, environment_id, "the index lists it as due")
            if self.ports.clock() >= stop_at:
                yield replace(listed, outcome=Outcome.DEFERRED)
                continue
            finding = self._handle(listed, dry_run=dry_run, full=expiries == EXPIRIES_PER_RUN)
            if finding:
                expiries += finding.kind is FindingKind.EXPIRED and finding.outcome is not Outcome.DEFERRED
                yield finding

    def _handle(self, finding: Finding, *, dry_run: bool, full: bool) -> Finding | None:
        assert finding.environment
        try:
            environment = self.ports.records.get(finding.environment)
            found = due_finding(environment, self.ports.clock()) if environment else None
            if environment is None or found is None:
                return None
            finding = found
            if full and finding.kind is FindingKind.EXPIRED:
                return replace(finding, outcome=Outcome.DEFERRED)
            return finding if dry_run else self._act(finding, environment)
        except Exception as error:
            return failed(finding, error)

    def _act(self, finding: Finding, environment: Environment) -> Finding:
        now = self.ports.clock()
        if finding.action is Action.REMOVE:
            after = desired.remove(environment, f"{finding.kind}: {finding.because}", now)
        else:
            after = desired.dispatched(environment, now)
        event = Event(now, EventKind(finding.kind), f"Found by the sweep: {finding.because}.")
        self.ports.records.write(environment, after, event)
        self.ports.dispatcher.work(environment.id)
        return replace(finding, outcome=Outcome.DISPATCHED)


def _text(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"

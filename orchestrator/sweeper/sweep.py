"""One run of a sweep: light (what is due) or deep (what is due, then the cloud compared with the records).

The rule: sweeps decide and dispatch, workers do. A sweep ends in order before its invocation does, and always leaves a plan or a
report, also of what went wrong. One deep sweep runs at a time. Light ones heal, so nothing keeps them from running, and two at
once do no harm: each of their writes is conditional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.domain.errors import FibfactoryError
from orchestrator.ports import Dispatcher, Records, Reports
from orchestrator.sweeper import deep, due
from orchestrator.sweeper.deep import DeepSweep, Outcome
from orchestrator.sweeper.due import DueSweep
from orchestrator.sweeper.report import KEPT, LEFT, Step

_STEPS_IN_A_REPORT, _LONGEST_TEXT = 500, 300
"""An item of the table has at most 400 KB (DynamoDB's quota)."""


class Kind(StrEnum):
    LIGHT = "light"
    DEEP = "deep"


@dataclass(frozen=True)
class Sweep:
    records: Records
    reports: Reports
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    deep: DeepSweep

    def run(
        self, sweep_id: str, *, kind: Kind, dry_run: bool, stop_at: datetime, ends_at: datetime
    ) -> Mapping[str, Any]:
        """Sweep once and store the plan or report, which is also returned.

        What is not begun by `stop_at` is left for the next run; at `ends_at` the invocation is over, whatever happens, and so is
        its place. Raises what went wrong, once that is reported.
        """
        run = _Run(self, sweep_id, kind, dry_run, self.clock())
        alone = kind is Kind.DEEP and not dry_run
        try:
            if alone and not self.reports.acquire(sweep_id, self.clock(), ends_at):
                return run.report("skipped: another deep sweep is running")
            try:
                run.go(stop_at)
            finally:
                if alone:
                    self.reports.release(sweep_id)
            return run.report(run.outcome.trouble or ("planned" if dry_run else "done"))
        except Exception as error:
            run.report(f"failed: {error.message if isinstance(error, FibfactoryError) else repr(error)}")
            raise


class _Run:
    """What one run has done so far, so that a report can be given at any time."""

    def __init__(self, ports: Sweep, sweep_id: str, kind: Kind, dry_run: bool, started: datetime) -> None:
        self.ports = ports
        self.id = sweep_id
        self.kind = kind
        self.dry_run = dry_run
        self.started = started
        self.due: list[Step] = []
        self.outcome = Outcome()

    def go(self, stop_at: datetime) -> None:
        ports = self.ports
        for step in DueSweep(ports.records, ports.dispatcher, ports.clock).steps(dry_run=self.dry_run, stop_at=stop_at):
            self.due.append(step)
        if self.kind is Kind.DEEP:
            self.outcome = ports.deep.run(dry_run=self.dry_run, stop_at=stop_at)

    def report(self, status: str) -> Mapping[str, Any]:
        steps = [*self.due, *self.outcome.steps]
        report = {
            "id": self.id,
            "kind": str(self.kind),
            "status": status,
            "dry_run": self.dry_run,
            "started_at": _text(self.started),
            "ended_at": _text(self.ports.clock()),
            "looked_for": "; ".join([due.LOOKED_FOR] + [deep.LOOKED_FOR] * (self.kind is Kind.DEEP)),
            "backlog": sum(step.outcome == LEFT for step in self.due),
            "oldest_overdue_seconds": max((step.overdue_seconds or 0 for step in self.due), default=0),
            "step_count": len(steps),
            "failures": sum(step.outcome.startswith("failed") for step in steps),
            "kept": sum(step.outcome == KEPT for step in steps),
            "steps": _shown(steps),
            "inventory": self.outcome.inventory,
        }
        self.ports.reports.write(self.id, report)
        return report


def metrics_of(report: Mapping[str, Any]) -> Mapping[str, int]:
    """What of a report is worth a graph and an alarm, by the metrics' names."""
    swept = not report["status"].startswith("skipped")
    return {
        "sweep_steps": report["step_count"],
        "sweep_failures": report["failures"],
        "sweep_backlog": report["backlog"],
        "sweep_kept": report["kept"],
        "sweep_incomplete": int(report["status"].startswith(("aborted", "stopped"))),
        "oldest_overdue_seconds": report["oldest_overdue_seconds"],
        # What alarms miss when a schedule, the function or its permission is gone. A light sweep also says that it's not deep.
        **{f"{kind}_sweeps": int(kind == report["kind"] and not report["dry_run"] and swept) for kind in Kind},
    }


def _shown(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as far as a report has room for them; what was only left for the next run gives way first."""
    first = sorted(steps, key=lambda step: step.outcome == LEFT)[:_STEPS_IN_A_REPORT]
    return [{name: _short(value) for name, value in asdict(step).items()} for step in first]


def _short(value: str | int | None) -> str | int | None:
    return str(value)[:_LONGEST_TEXT] if isinstance(value, str) else value


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

"""One run of a sweep: light (what is due) or deep (what is due, then the cloud compared with the records).

The rule: sweeps decide and dispatch, workers do. A sweep ends before its invocation does, and always leaves a plan or a report,
also of what went wrong. One deep sweep runs at a time. Two light ones at once do no harm: each of their writes is
conditional.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.domain.errors import message_of
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.domain.sweeps import Finding, Outcome, SweepKind, SweepReport, SweepStatus
from orchestrator.ports import SweepPorts
from orchestrator.sweeper import deep, due
from orchestrator.sweeper.deep import DeepSweep
from orchestrator.sweeper.due import DueSweep
from orchestrator.sweeper.report import with_findings


@dataclass(frozen=True)
class Sweep:
    ports: SweepPorts
    platform: str
    prefix: str

    def run(
        self, sweep_id: str, kind: SweepKind, limits: InvocationLimits, *, dry_run: bool, scheduled: bool
    ) -> SweepReport:
        """Sweep once and store the plan or report, which is also returned. A scheduled light sweep that found nothing has none.

        What has not begun by `limits.stop_at` is deferred to the next run. Raises any error after it was reported.
        """
        now = self.ports.clock()
        report = SweepReport(sweep_id, kind, dry_run, SweepStatus.REQUESTED, requested_at=now)
        run = _Run(self, report, may_be_silent=scheduled and kind is SweepKind.LIGHT)
        alone = kind is SweepKind.DEEP and not dry_run
        try:
            if alone and not self.ports.reports.acquire(sweep_id, now, limits.ends_at):
                return run.end(SweepStatus.SKIPPED, "another deep sweep is running")
            try:
                run.go(limits)
            finally:
                if alone:
                    self.ports.reports.release(sweep_id)
            if run.compared.trouble:
                return run.end(*run.compared.trouble)
            return run.end(SweepStatus.PLANNED if dry_run else SweepStatus.DONE)
        except Exception as error:
            run.end(SweepStatus.FAILED, message_of(error))
            raise


class _Run:
    """What one run has done so far, so that it can be reported at any time."""

    def __init__(self, sweep: Sweep, report: SweepReport, *, may_be_silent: bool) -> None:
        self.sweep = sweep
        self.report = report
        self.may_be_silent = may_be_silent
        self.due: list[Finding] = []
        self.compared = deep.Result()

    def go(self, limits: InvocationLimits) -> None:
        sweep, dry_run = self.sweep, self.report.dry_run
        for finding in DueSweep(sweep.ports).findings(dry_run=dry_run, stop_at=limits.stop_at):
            self.due.append(finding)
        if self.report.kind is SweepKind.DEEP:
            deep_sweep = DeepSweep(sweep.ports, sweep.platform, sweep.prefix)
            self.compared = deep_sweep.run(dry_run=dry_run, stop_at=limits.stop_at)

    def end(self, status: SweepStatus, detail: str = "") -> SweepReport:
        looked_for = [due.LOOKED_FOR, *([deep.LOOKED_FOR] if self.report.kind is SweepKind.DEEP else [])]
        report = replace(
            self.report,
            status=status,
            detail=detail,
            ended_at=self.sweep.ports.clock(),
            looked_for="; ".join(looked_for),
            backlog=sum(finding.outcome is Outcome.DEFERRED for finding in self.due),
            oldest_overdue_seconds=max((finding.overdue_seconds for finding in self.due), default=0),
            inventory=self.compared.counts,
        )
        report = with_findings(report, [*self.due, *self.compared.findings])
        if not self.may_be_silent or report.findings or status is not SweepStatus.DONE:
            self.sweep.ports.reports.write(report)
        return report

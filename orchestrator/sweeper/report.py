"""How findings end and become a report and metrics.

The rule: a finding whose action fails never stops the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aws_lambda_powertools import Logger

from orchestrator.domain.errors import FibfactoryError, VersionConflict, message_of
from orchestrator.domain.metrics import Metric
from orchestrator.domain.sweeps import Finding, Outcome, SweepKind, SweepReport, SweepStatus

logger = Logger(child=True)

_MOST_FINDINGS, _LONGEST_TEXT = 500, 300
"""Limits that keep a report below the 400 KB of an item (DynamoDB's quota)."""


def failed(finding: Finding, error: Exception) -> Finding:
    """The finding after its action raised this error.

    Unexpected errors end here, too: one record that can't be understood must not keep all other environments from being swept.
    """
    if isinstance(error, VersionConflict):
        return replace(finding, outcome=Outcome.CHANGED_MEANWHILE)
    if not isinstance(error, FibfactoryError):
        logger.error("A finding's action failed with an unexpected error.", exc_info=error)
    return replace(finding, outcome=Outcome.FAILED, error=message_of(error))


def with_findings(report: SweepReport, findings: Sequence[Finding]) -> SweepReport:
    """The report with these findings and their counts. If there are too many, those deferred to the next run are cut first."""
    shown = sorted(findings, key=lambda each: each.outcome is Outcome.DEFERRED)[:_MOST_FINDINGS]
    return replace(
        report,
        finding_count=len(findings),
        failures=sum(each.outcome is Outcome.FAILED for each in findings),
        kept=sum(each.outcome is Outcome.KEPT for each in findings),
        findings=tuple(
            replace(
                each, because=each.because[:_LONGEST_TEXT], error=each.error[:_LONGEST_TEXT] if each.error else None
            )
            for each in shown
        ),
    )


def metrics_of(report: SweepReport) -> Mapping[Metric, int]:
    """What a report counts for graphs and alarms."""
    swept = not report.dry_run and report.status is not SweepStatus.SKIPPED
    return {
        Metric.SWEEP_FINDINGS: report.finding_count,
        Metric.SWEEP_FAILURES: report.failures,
        Metric.SWEEP_BACKLOG: report.backlog,
        Metric.SWEEP_KEPT: report.kept,
        Metric.SWEEP_INCOMPLETE: int(report.status in (SweepStatus.ABORTED, SweepStatus.STOPPED)),
        Metric.OLDEST_OVERDUE_SECONDS: report.oldest_overdue_seconds,
        # Alarms go off when these are missing. A sweep of one kind also counts 0 for the other.
        Metric.LIGHT_SWEEPS: int(swept and report.kind is SweepKind.LIGHT),
        Metric.DEEP_SWEEPS: int(swept and report.kind is SweepKind.DEEP),
    }

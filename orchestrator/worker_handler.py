"""The worker function's entry: work on one environment, a sweep that an operator asked for, or a schedule's event.

The rule: an event is one of three kinds, and no other is accepted; errors are logged here, once. Nothing is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, TypeAdapter

from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import LeaseLost
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.domain.metrics import Metric
from orchestrator.domain.sweeps import SweepKind
from orchestrator.sweeper.report import metrics_of
from orchestrator.wiring import Dependencies

logger = Logger(utc=True)
metrics = Metrics()


class WorkEvent(BaseModel):
    """Work on one environment."""

    environment: str
    correlation_id: str | None = None


class SweepEvent(BaseModel):
    """A sweep that an operator asked for; its report in the table says which kind."""

    sweep: str
    correlation_id: str | None = None


class ScheduleEvent(BaseModel):
    """The event of a scheduled rule or of EventBridge Scheduler; its `detail` may name the sweep."""

    detail_type: Literal["Scheduled Event"] = Field(alias="detail-type")
    detail: Mapping[str, Any] | str = {}

    @property
    def kind(self) -> SweepKind:
        """A schedule that names no sweep is the nightly one: deep."""
        detail = json.loads(self.detail or "{}") if isinstance(self.detail, str) else self.detail
        return SweepKind.LIGHT if detail.get("sweep") == SweepKind.LIGHT else SweepKind.DEEP


_EVENT: TypeAdapter[WorkEvent | SweepEvent | ScheduleEvent] = TypeAdapter(WorkEvent | SweepEvent | ScheduleEvent)


@cache
def _dependencies() -> Dependencies:
    return Dependencies()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work on an environment, or sweep; returns how it ended."""
    try:
        return _handle(_EVENT.validate_python(event), context, _dependencies())
    except Exception:
        logger.exception("The invocation failed.")
        _count(Metric.INVOCATION_FAILED)
        raise


def _handle(
    event: WorkEvent | SweepEvent | ScheduleEvent, context: LambdaContext, dependencies: Dependencies
) -> dict[str, Any]:
    dependencies.clean_sandbox()
    limits = dependencies.limits(timedelta(milliseconds=context.get_remaining_time_in_millis()))
    if isinstance(event, ScheduleEvent):
        logger.set_correlation_id(context.aws_request_id)
        sweep_id = f"{event.kind}-{context.aws_request_id}"
        return _sweep(dependencies, sweep_id, event.kind, limits, dry_run=False, scheduled=True)
    logger.set_correlation_id(event.correlation_id or context.aws_request_id)
    if isinstance(event, WorkEvent):
        return _work(dependencies, event.environment, context.aws_request_id, limits)
    asked = dependencies.worker_ports.reports.read(event.sweep)
    kind, dry_run = (asked.kind, asked.dry_run) if asked else (SweepKind.DEEP, True)
    return _sweep(dependencies, event.sweep, kind, limits, dry_run=dry_run, scheduled=False)


def _work(dependencies: Dependencies, environment_id: str, request_id: str, limits: InvocationLimits) -> dict[str, Any]:
    logger.append_keys(environment=environment_id)
    environment = None
    try:
        environment = dependencies.reconciler.run(environment_id, request_id, limits)
        outcome = outcome_of(environment)
    except LeaseLost as error:
        logger.warning("Another worker took over.", detail=error.message)
        outcome = Metric.LEASE_LOST
    failure = environment.failure.code if environment and environment.failure else None
    logger.info("Work on the environment ended.", outcome=outcome, failure=failure)
    _count(outcome)
    return {"environment": environment_id, "outcome": outcome, "failure": failure}


def outcome_of(environment: Environment | None) -> Metric:
    """How the work on an environment ended, as the name of the metric that counts it; None: there was nothing to claim."""
    if environment is None:
        return Metric.NOTHING_TO_DO
    if environment.status in (Status.READY, Status.PAUSED, Status.DESTROYED, Status.FAILED):
        return Metric(f"environment_{environment.status}")
    return Metric.ENVIRONMENT_UNFINISHED


def _sweep(
    dependencies: Dependencies,
    sweep_id: str,
    kind: SweepKind,
    limits: InvocationLimits,
    *,
    dry_run: bool,
    scheduled: bool,
) -> dict[str, Any]:
    try:
        report = dependencies.sweep.run(sweep_id, kind, limits, dry_run=dry_run, scheduled=scheduled)
    except Exception:
        _count(Metric.SWEEP_INCOMPLETE)
        raise
    logger.info("The sweep ended.", sweep=asdict(report))
    for name, count in metrics_of(report).items():
        metrics.add_metric(name, MetricUnit.Seconds if name.endswith("_seconds") else MetricUnit.Count, count)
    return {"id": sweep_id, "status": report.status, "detail": report.detail}


def _count(metric: Metric) -> None:
    metrics.add_metric(metric, MetricUnit.Count, 1)

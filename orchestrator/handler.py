"""The Lambda's entry for both functions: tells events apart and answers each with the part that understands it.

The rule: nothing at import, everything built once at the first event; errors are logged here, once.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext

from orchestrator import wiring
from orchestrator.api.authentication import caller_of
from orchestrator.api.problem_details import problem_of
from orchestrator.api.request_body import refusal
from orchestrator.domain.access import Access
from orchestrator.domain.errors import LeaseLost, Rejected
from orchestrator.settings import Settings
from orchestrator.sweeper.sweep import Kind, metrics_of
from orchestrator.worker.invocation import ScheduleEvent, SweepEvent, WorkEvent

Event = dict[str, Any]


def handler(event: Event, context: LambdaContext) -> Any:
    """Answer an HTTP API event (payload 2.0), a worker's, a sweep's, or a schedule's."""
    dependencies = _dependencies()
    dependencies.logger.append_keys(request_id=context.aws_request_id, function=context.function_name)
    try:
        if "requestContext" in event:
            return _http(dependencies, event, context)
        dependencies.logger.set_correlation_id(event.get("correlation_id") or context.aws_request_id)
        if "environment" in event:
            return _work(dependencies, parse(event=event, model=WorkEvent), context)
        if "sweep" in event:
            return _asked_sweep(dependencies, parse(event=event, model=SweepEvent), context)
        if event.get("detail-type") == "Scheduled Event":
            return _scheduled(dependencies, parse(event=event, model=ScheduleEvent), context)
        raise ValueError(f"An event of no kind that is understood here, with {sorted(event)}.")
    except Exception:
        dependencies.logger.exception("The invocation failed.")
        raise


@cache
def _dependencies() -> wiring.Dependencies:
    return wiring.build()


def _http(dependencies: wiring.Dependencies, event: Event, context: LambdaContext) -> Any:
    dependencies.logger.set_correlation_id(event["requestContext"].get("requestId"))
    return handle_request(event, context, dependencies.api, dependencies.settings)


def handle_request(event: Event, context: LambdaContext, api: APIGatewayHttpResolver, settings: Settings) -> Any:
    """The API's answer to an HTTP API event of somebody who is let in, with a body that can be read."""
    if answer := reject_unknown_caller(event, settings.access) or refusal(event, settings.max_body_bytes):
        return {
            "statusCode": answer.status_code,
            "headers": {"Content-Type": answer.content_type},
            "body": answer.body,
            "isBase64Encoded": False,
        }
    return api.resolve(event, context)


def reject_unknown_caller(event: Event, access: Access) -> Response[Any] | None:
    """The answer to who is nobody, or not let in. Asked first, so that nothing else of what they sent is looked at."""
    try:
        caller_of(event["requestContext"], access)
    except Rejected as error:
        return problem_of(error)
    return None


def _work(dependencies: wiring.Dependencies, event: WorkEvent, context: LambdaContext) -> Any:
    dependencies.logger.append_keys(environment=event.environment)
    try:
        outcome = dependencies.worker.work(event, context.aws_request_id, _remaining(context))
    except LeaseLost as error:
        dependencies.logger.warning("Another worker took over.", extra={"detail": error.message})
        return {"environment": event.environment, "outcome": "lease lost"}
    finally:
        dependencies.logger.remove_keys(["environment"])
    dependencies.logger.info("The environment was worked on.", extra=outcome)
    dependencies.metrics.add_metric(f"environment_{outcome['outcome'].split()[0].rstrip(',')}", MetricUnit.Count, 1)
    dependencies.metrics.flush_metrics()
    return outcome


def _asked_sweep(dependencies: wiring.Dependencies, event: SweepEvent, context: LambdaContext) -> Any:
    asked = dependencies.worker.sweep.reports.read(event.sweep) or {}
    kind = Kind(asked.get("kind", Kind.DEEP))
    return _run_sweep(dependencies, event.sweep, kind, bool(asked.get("dry_run", True)), context)


def _scheduled(dependencies: wiring.Dependencies, event: ScheduleEvent, context: LambdaContext) -> Any:
    return _run_sweep(dependencies, f"{event.kind}-{context.aws_request_id}", event.kind, False, context)


def _run_sweep(
    dependencies: wiring.Dependencies, sweep_id: str, kind: Kind, dry_run: bool, context: LambdaContext
) -> Any:
    try:
        report = dependencies.worker.run_sweep(sweep_id, kind, dry_run, _remaining(context))
    except Exception:
        dependencies.metrics.add_metric("sweep_incomplete", MetricUnit.Count, 1)
        dependencies.metrics.flush_metrics()
        raise
    dependencies.logger.info("The sweep is over.", extra={"sweep": report})
    for name, count in metrics_of(report).items():
        unit = MetricUnit.Seconds if name.endswith("_seconds") else MetricUnit.Count
        dependencies.metrics.add_metric(name, unit, count)
    dependencies.metrics.flush_metrics()
    return report


def _remaining(context: LambdaContext) -> timedelta:
    return timedelta(milliseconds=context.get_remaining_time_in_millis())

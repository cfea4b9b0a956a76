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
from orchestrator.bodies import refusal
from orchestrator.errors import LeaseLost, Rejected
from orchestrator.identity import Access, caller_of
from orchestrator.problems import problem_of
from orchestrator.settings import Settings
from orchestrator.sweep import Kind, counted
from orchestrator.worker import ScheduleEvent, SweepEvent, WorkEvent

Event = dict[str, Any]


def handler(event: Event, context: LambdaContext) -> Any:
    """Answer an HTTP API event (payload 2.0), a worker's, a sweep's, or a schedule's."""
    parts = _parts()
    parts.logger.append_keys(request_id=context.aws_request_id, function=context.function_name)
    try:
        if "requestContext" in event:
            return _http(parts, event, context)
        parts.logger.set_correlation_id(event.get("correlation_id") or context.aws_request_id)
        if "environment" in event:
            return _work(parts, parse(event=event, model=WorkEvent), context)
        if "sweep" in event:
            return _asked_sweep(parts, parse(event=event, model=SweepEvent), context)
        if event.get("detail-type") == "Scheduled Event":
            return _scheduled(parts, parse(event=event, model=ScheduleEvent), context)
        raise ValueError(f"An event of no kind that is understood here, with {sorted(event)}.")
    except Exception:
        parts.logger.exception("The invocation failed.")
        raise


@cache
def _parts() -> wiring.Parts:
    return wiring.build()


def _http(parts: wiring.Parts, event: Event, context: LambdaContext) -> Any:
    parts.logger.set_correlation_id(event["requestContext"].get("requestId"))
    return answered(event, context, parts.api, parts.settings)


def answered(event: Event, context: LambdaContext, api: APIGatewayHttpResolver, settings: Settings) -> Any:
    """The API's answer to an HTTP API event of somebody who is let in, with a body that can be read."""
    if answer := _stranger(event, settings.access) or refusal(event, settings.max_body_bytes):
        return {
            "statusCode": answer.status_code,
            "headers": {"Content-Type": answer.content_type},
            "body": answer.body,
            "isBase64Encoded": False,
        }
    return api.resolve(event, context)


def _stranger(event: Event, access: Access) -> Response[Any] | None:
    """The answer to who is nobody, or not let in. Asked first, so that nothing else of what they sent is looked at."""
    try:
        caller_of(event["requestContext"], access)
    except Rejected as error:
        return problem_of(error)
    return None


def _work(parts: wiring.Parts, event: WorkEvent, context: LambdaContext) -> Any:
    parts.logger.append_keys(environment=event.environment)
    try:
        outcome = parts.worker.work(event, context.aws_request_id, _remaining(context))
    except LeaseLost as error:
        parts.logger.warning("Another worker took over.", extra={"detail": error.message})
        return {"environment": event.environment, "outcome": "lease lost"}
    finally:
        parts.logger.remove_keys(["environment"])
    parts.logger.info("The environment was worked on.", extra=outcome)
    parts.metrics.add_metric(f"environment_{outcome['outcome'].split()[0].rstrip(',')}", MetricUnit.Count, 1)
    parts.metrics.flush_metrics()
    return outcome


def _asked_sweep(parts: wiring.Parts, event: SweepEvent, context: LambdaContext) -> Any:
    asked = parts.worker.sweep.reports.read(event.sweep) or {}
    kind = Kind(asked.get("kind", Kind.DEEP))
    return _swept(parts, event.sweep, kind, bool(asked.get("dry_run", True)), context)


def _scheduled(parts: wiring.Parts, event: ScheduleEvent, context: LambdaContext) -> Any:
    return _swept(parts, f"{event.kind}-{context.aws_request_id}", event.kind, False, context)


def _swept(parts: wiring.Parts, sweep_id: str, kind: Kind, dry_run: bool, context: LambdaContext) -> Any:
    try:
        report = parts.worker.swept(sweep_id, kind, dry_run, _remaining(context))
    except Exception:
        parts.metrics.add_metric("sweep_incomplete", MetricUnit.Count, 1)
        parts.metrics.flush_metrics()
        raise
    parts.logger.info("The sweep is over.", extra={"sweep": report})
    for name, count in counted(report).items():
        unit = MetricUnit.Seconds if name.endswith("_seconds") else MetricUnit.Count
        parts.metrics.add_metric(name, unit, count)
    parts.metrics.flush_metrics()
    return report


def _remaining(context: LambdaContext) -> timedelta:
    return timedelta(milliseconds=context.get_remaining_time_in_millis())

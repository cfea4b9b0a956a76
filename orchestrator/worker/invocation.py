"""The worker's side of the function: one environment's work, or a sweep, within one invocation's time.

The rule: it turns events into calls and an invocation's remaining time into limits, and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrator.settings import WorkerSettings
from orchestrator.sweeper.sweep import Kind, Sweep
from orchestrator.worker.reconciler import Limits, Reconciler

_SIGNALS = 3.6
"""Three signals, each firmer than the last, and some time to write down how it ended, fit between stop and hard limit."""


class WorkEvent(BaseModel):
    """Work on one environment."""

    environment: str
    correlation_id: str | None = None


class SweepEvent(BaseModel):
    """A sweep that an operator asked for."""

    sweep: str
    correlation_id: str | None = None


class ScheduleEvent(BaseModel):
    """A scheduled rule's event, or EventBridge Scheduler's: the same envelope, whose detail may name the sweep."""

    model_config = ConfigDict(extra="ignore")

    detail: Mapping[str, Any] | str = {}

    @property
    def kind(self) -> Kind:
        """A schedule that doesn't say is the nightly one: deep."""
        detail = json.loads(self.detail or "{}") if isinstance(self.detail, str) else self.detail
        return Kind.LIGHT if detail.get("sweep") == Kind.LIGHT else Kind.DEEP


@dataclass(frozen=True)
class Worker:
    reconciler: Reconciler
    sweep: Sweep
    settings: WorkerSettings
    clock: Callable[[], datetime]
    clean: Callable[[], None]
    """Ends and removes what dead workers left in this sandbox."""

    def work(self, event: WorkEvent, request_id: str, remaining: timedelta) -> dict[str, Any]:
        """Reconcile one environment within the invocation's remaining time."""
        limits = self.limits(remaining)
        self.clean()
        environment = self.reconciler.run(event.environment, request_id, limits)
        if environment is None:
            return {"environment": event.environment, "outcome": "nothing to do, or another worker is at it"}
        failure = environment.failure.code if environment.failure else None
        return {"environment": environment.id, "outcome": str(environment.status), "failure": failure}

    def run_sweep(self, sweep_id: str, kind: Kind, dry_run: bool, remaining: timedelta) -> Mapping[str, Any]:
        """Sweep within the invocation's remaining time."""
        stop_at, ends_at = self.limits(remaining).stop_at, self.clock() + remaining
        self.clean()
        return self.sweep.run(sweep_id, kind=kind, dry_run=dry_run, stop_at=stop_at, ends_at=ends_at)

    def limits(self, remaining: timedelta) -> Limits:
        """When to stop in order, and when the lease ends: before and after the function's hard limit."""
        now = self.clock()
        stop_before = min(timedelta(seconds=self.settings.stop_before_seconds), remaining / 3)
        return Limits(
            stop_at=now + remaining - stop_before,
            lease_until=now + remaining + timedelta(seconds=self.settings.lease_margin_seconds),
            grace=stop_before.total_seconds() / _SIGNALS,
        )

"""The names of the metrics that the functions write, stable identifiers: alarms, dashboard and the API's contract use them."""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """A metric in the namespace `fibfactory`; a count unless its name ends in `_seconds`."""

    ENVIRONMENT_READY = "environment_ready"
    ENVIRONMENT_PAUSED = "environment_paused"
    ENVIRONMENT_DESTROYED = "environment_destroyed"
    ENVIRONMENT_FAILED = "environment_failed"
    ENVIRONMENT_UNFINISHED = "environment_unfinished"
    """An invocation ended before the environment was as desired: another one goes on, or a retry is due."""
    NOTHING_TO_DO = "nothing_to_do"
    """A worker came for an environment that is as desired, or that another worker holds."""
    LEASE_LOST = "lease_lost"
    INVOCATION_FAILED = "invocation_failed"

    LIGHT_SWEEPS = "light_sweeps"
    DEEP_SWEEPS = "deep_sweeps"
    SWEEP_FINDINGS = "sweep_findings"
    SWEEP_FAILURES = "sweep_failures"
    SWEEP_BACKLOG = "sweep_backlog"
    SWEEP_KEPT = "sweep_kept"
    SWEEP_INCOMPLETE = "sweep_incomplete"
    OLDEST_OVERDUE_SECONDS = "oldest_overdue_seconds"

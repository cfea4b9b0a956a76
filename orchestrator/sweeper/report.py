"""One step of a sweep, as it is reported.

The rule: one that fails never stops the others, and each says how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.errors import FibfactoryError, VersionConflict

PLANNED = "planned"
DISPATCHED = "dispatched"
KEPT = "kept"
LEFT = "left for the next run"
CHANGED = "changed meanwhile; left alone"


@dataclass(frozen=True)
class Step:
    """One thing that the sweep would do, and why. Of what a deep sweep found, also by which name that goes.

    `environment` is None for what has no environment's name, `overdue_seconds` for what was due at no particular time.
    """

    environment: str | None
    action: str
    because: str
    outcome: str = PLANNED
    disagreement: str | None = None
    overdue_seconds: int | None = None


def failure(error: Exception) -> str:
    """The outcome of a step that could not be taken.

    Errors that nobody foresaw end here, too: one record that can't be understood must not keep every other environment from
    being swept, night after night.
    """
    if isinstance(error, VersionConflict):
        return CHANGED
    return f"failed: {error.message if isinstance(error, FibfactoryError) else repr(error)}"

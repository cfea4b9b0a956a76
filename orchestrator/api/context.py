"""What the routes need besides the request: the use cases and the settings, made once."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.api.use_cases import EnvironmentService, SweepService
from orchestrator.settings import Settings


@dataclass(frozen=True, eq=False)
class ApiContext:
    settings: Settings
    environments: EnvironmentService
    sweeps: SweepService

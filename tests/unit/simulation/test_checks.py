"""What the simulator takes for a violation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.domain.errors import Transient
from orchestrator.domain.sweeps import Action, Finding, FindingKind, SweepKind, SweepReport, SweepStatus
from orchestrator.sweeper.report import failed, with_findings
from tests.simulation.checks import Violation
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation

REPORT = SweepReport("one", SweepKind.LIGHT, False, SweepStatus.DONE, datetime(2026, 1, 1, tzinfo=UTC))


def reported(error: Exception) -> None:
    """A sweep reports a finding whose action failed with this error."""
    finding = Finding(FindingKind.EXPIRED, Action.REMOVE, "test1", "its TTL is over")
    Simulation(Scenario(1, ())).world.checks.reported(with_findings(REPORT, [failed(finding, error)]))


def test_an_unexpected_error_in_a_sweeps_report_is_a_violation() -> None:
    with pytest.raises(Violation, match="KeyError"):
        reported(KeyError("status"))


def test_an_error_of_ours_in_a_sweeps_report_is_none() -> None:
    reported(Transient("The table is busy."))

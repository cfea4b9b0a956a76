"""The commands: tables for people, JSON for machines, and an exit code that says whether the promises hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.simulation.__main__ import main
from tests.simulation.scenario import SCENARIOS

pytestmark = pytest.mark.slow


def run(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "out" / "figures.json"
    result = CliRunner().invoke(main, [*arguments, "--json", str(file)])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(file.read_text())
    assert report["holds"] is True
    return report


def test_a_campaign_reports_what_happened_in_it(tmp_path: Path) -> None:
    report = run(tmp_path, "run", "--seeds", "300", "--jobs", "1")
    assert (report["seeds"], report["violations"], report["failing"]) == (300, 0, [])
    assert sum(report["faults"].values()) > 500
    assert report["checks"]["ends"] == 300
    assert report["virtual_years"] > 0


def test_crash_points_reports_each_operation_and_each_case(tmp_path: Path) -> None:
    report = run(tmp_path, "crash-points")
    whole = report["rows"]["all"]
    assert whole["runs"] == whole["deaths"] == whole["healed"] == len(report["cases"])
    assert whole["most_sweeps"] <= 2
    assert whole["stuck"] == whole["leaked"] == whole["failed"] == 0


def test_crash_pairs_are_two_deaths_each(tmp_path: Path) -> None:
    whole = run(tmp_path, "crash-pairs", "--pairs", "40")["rows"]["all"]
    assert (whole["runs"], whole["deaths"], whole["healed"]) == (40, 80, 40)


def test_deliveries_reports_how_many_were_bad(tmp_path: Path) -> None:
    report = run(tmp_path, "run", "--kind", "deliveries", "--seeds", "250", "--jobs", "1")
    assert (report["violations"], report["most_services_of_one_environment"]) == (0, 1)
    assert min(report["faults"].values()) > 100


def test_stale_writes_are_counted_until_there_are_enough(tmp_path: Path) -> None:
    report = run(tmp_path, "stale-writes", "--writes", "100", "--jobs", "1")
    assert report["writes_without_lease_refused"] >= 100
    assert report["writes_without_lease_accepted"] == 0


def test_healing_time_is_counted_from_the_end_of_the_lease(tmp_path: Path) -> None:
    report = run(tmp_path, "healing-time", "--deaths", "40")
    assert report["deaths_of_workers_under_a_lease"] == report["healed"] == 40
    taken_up = report["seconds_from_lease_end"]["taken up by the next worker"]
    assert 0 <= taken_up["median"] <= taken_up["longest"] <= 305


@pytest.mark.parametrize("kind", list(SCENARIOS))
def test_a_replay_prints_its_history(kind: str) -> None:
    result = CliRunner().invoke(main, ["replay", "4", "--kind", kind])
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "all invariants hold"
    assert "claimed" in result.output


@pytest.mark.parametrize("kind", list(SCENARIOS))
def test_nothing_is_found_where_all_safeguards_are_in_place(tmp_path: Path, kind: str) -> None:
    assert run(tmp_path, "find", "--kind", kind, "--seeds", "40")["seeds"] == 40

"""The suspects that one deep sweep stores for the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.adapters.dynamodb.reports import DynamoReports

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def test_a_new_platform_has_no_suspects(reports: DynamoReports) -> None:
    assert reports.suspects() == {}


def test_suspects_are_replaced_as_a_whole_and_kept_to_the_microsecond(reports: DynamoReports) -> None:
    reports.suspect({"lost1": NOW, "lost2": NOW - timedelta(days=1)})
    reports.suspect({"lost1": NOW})
    assert reports.suspects() == {"lost1": NOW}
    reports.suspect({})
    assert reports.suspects() == {}


def test_thousands_of_suspects_fit_into_the_table(reports: DynamoReports) -> None:
    many = {f"environment-{number:012}": NOW for number in range(5000)}
    reports.suspect(many)
    assert reports.suspects() == many


def test_suspects_and_the_lock_of_the_running_sweep_are_independent(reports: DynamoReports) -> None:
    reports.suspect({"lost1": NOW})
    assert reports.acquire("a", NOW, NOW + timedelta(minutes=1))
    assert not reports.acquire("b", NOW, NOW + timedelta(minutes=1))
    reports.release("a")
    assert reports.suspects() == {"lost1": NOW}

"""Operations longer than an invocation: stopped in time, continued in the next invocation, never started twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fibfactory_cli.client import Client
from localcloud.apprunner.admin import AppRunnerAdmin
from tests.e2e.story import LATEST, V2, put
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform

FUNCTION_LIMIT = 20
TWO_MINUTES = 120


@pytest.fixture
def short_worker(platform: Platform) -> Iterator[None]:
    """The worker function with a limit of 20 seconds, of which the last five are for stopping."""
    with platform.configured("worker_function", {"FIBFACTORY_STOP_BEFORE_SECONDS": "5"}, FUNCTION_LIMIT):
        yield


def kinds(client: Client, environment_id: str) -> list[str]:
    events = client.call("GET", f"/environments/{environment_id}/events", query={"limit": 100}).checked().body
    return [event["kind"] for event in events["events"]]


def test_a_two_minute_create_continues_across_invocations_of_twenty_seconds(
    platform: Platform, short_worker: None, alice: Client, apprunner: AppRunnerAdmin
) -> None:
    apprunner.behave(delays={"create": TWO_MINUTES, "update": 25})
    put(alice, "long1")
    record = alice.follow("long1", timeout_seconds=TWO_MINUTES + 60)
    assert record["status"] == "ready", record["error"]
    assert kinds(alice, "long1").count("interrupted") >= TWO_MINUTES // FUNCTION_LIMIT
    assert len([each for each in apprunner.services() if "long1" in each.name]) == 1, (
        "the service was created more than once"
    )

    put(alice, "long1", V2)
    record = alice.follow("long1", timeout_seconds=TWO_MINUTES)
    assert record["status"] == "ready" and record["spec"]["image"] == V2, record["error"]

    alice.call("DELETE", "/environments/long1").checked()
    assert alice.follow("long1", timeout_seconds=60)["status"] == "destroyed"


def test_a_removal_during_a_long_create_waits_for_it_and_then_destroys(
    platform: Platform, short_worker: None, alice: Client, apprunner: AppRunnerAdmin
) -> None:
    apprunner.behave(delays={"create": 30})
    put(alice, "long2", LATEST)
    eventually(lambda: [each for each in apprunner.services() if each.name == "fib-app-long2-service"], "the service")
    alice.call("DELETE", "/environments/long2").checked()
    record = alice.follow("long2", timeout_seconds=TWO_MINUTES)
    assert record["status"] == "destroyed" and record["receipt"]
    assert [each.status for each in apprunner.services() if "long2" in each.name] == ["DELETED"]

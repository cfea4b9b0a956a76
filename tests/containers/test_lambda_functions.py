"""Both functions in containers of the one image, under AWS's runtime interface emulator, against the local cloud."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
import urllib3

from orchestrator.adapters import sandbox
from tests.containers.conftest import Images
from tests.containers.containers import container
from tests.containers.runtime_emulator import Function, Inbox
from tools.platform_on_localcloud import Platform

LATEST = "public.ecr.aws/fibfactory/fibservice:latest"
WARM = 100


class Caller:
    """Asks the API function as API Gateway would for alice."""

    def __init__(self, api: Function, platform: Platform) -> None:
        self._api = api
        self._arn = platform.cloud.identity("alice").user_arn

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self._api.invoke(
            {
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": path,
                "rawQueryString": "",
                "headers": {"content-type": "application/json"},
                "requestContext": {
                    "requestId": str(uuid.uuid4()),
                    "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
                    "authorizer": {"iam": {"userArn": self._arn}},
                    "stage": "$default",
                },
                "body": json.dumps(body) if body is not None else None,
                "isBase64Encoded": False,
            }
        )
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def ask(api: Function, quiet_platform: Platform) -> Caller:
    return Caller(api, quiet_platform)


def work_off(inbox: Inbox, worker: Function) -> None:
    """Invoke the worker for all that was asked of it, and for what that asks for; nothing may fail on the way."""
    name, event = inbox.next()
    while True:
        assert name == worker.name
        outcome = worker.invoke(event)
        assert not outcome.get("failure"), f"{outcome}\n{worker.container.logs()}"
        if inbox.is_empty():
            return
        name, event = inbox.next()


def scheduled(platform: Platform) -> Any:
    """The event of the light schedule, as the platform's schedule has it, with what Scheduler fills in."""
    schedule = (
        platform.cloud.session("operator").client("scheduler").get_schedule(Name=platform.outputs["light_schedule"])
    )
    text = schedule["Target"]["Input"]
    filled = {
        "<aws.scheduler.scheduled-time>": "2026-01-01T00:00:00Z",
        "<aws.scheduler.execution-id>": str(uuid.uuid4()),
    }
    for placeholder, value in filled.items():
        text = text.replace(placeholder, value)
    return json.loads(text)


def test_an_environment_is_requested_deployed_and_destroyed_when_it_expires(
    ask: Caller, worker: Function, inbox: Inbox, quiet_platform: Platform
) -> None:
    status, record = ask("PUT", "/environments/boxed1", {"image": LATEST, "ttl": "1s"})
    assert (status, record["status"]) == (202, "pending")
    work_off(inbox, worker)
    status, record = ask("GET", "/environments/boxed1")
    assert (status, record["status"]) == (200, "ready")
    url = record["url"]
    assert json.loads(urllib3.request("GET", f"{url}/fib/20").data) == {"fib": 6765, "n": 20}

    while inbox.is_empty():
        worker.invoke(scheduled(quiet_platform))
        time.sleep(1)
    work_off(inbox, worker)
    status, record = ask("GET", "/environments/boxed1")
    assert (status, record["status"]) == (200, "destroyed")
    assert record["reason"].startswith("expired")


def test_a_hundred_warm_invocations_leave_no_file_and_no_process(
    ask: Caller, api: Function, worker: Function, inbox: Inbox
) -> None:
    ask("PUT", "/environments/boxed2", {"image": LATEST})
    _, event = inbox.next()
    worker.invoke(event)
    assert ask("GET", "/environments/boxed2")[1]["status"] == "ready"
    before = [(function.temporary_bytes(), function.container.processes()) for function in (api, worker)]
    for _ in range(WARM):
        assert ask("GET", "/environments/boxed2")[0] == 200
        worker.invoke(event)
    assert [(function.temporary_bytes(), function.container.processes()) for function in (api, worker)] == before
    ask("DELETE", "/environments/boxed2")
    work_off(inbox, worker)
    assert ask("GET", "/environments/boxed2")[1]["status"] == "destroyed"


def test_a_create_and_a_destroy_leave_only_the_clis_small_files_and_no_process(
    ask: Caller, worker: Function, inbox: Inbox
) -> None:
    def live() -> None:
        ask("PUT", "/environments/boxed3", {"image": LATEST})
        work_off(inbox, worker)
        ask("DELETE", "/environments/boxed3")
        work_off(inbox, worker)
        assert ask("GET", "/environments/boxed3")[1]["status"] == "destroyed"

    live()
    files, processes, size = set(worker.temporary_files()), worker.container.processes(), worker.temporary_bytes()
    live()
    new = set(worker.temporary_files()) - files
    # Its logs, which it rotates at 20 MB, and some 70 bytes for each of its work folders.
    assert {file.split("/")[4] for file in new} == {"logs", "workspaces"}
    assert worker.temporary_bytes() - size < 100_000
    assert worker.container.processes() == processes


def test_cleaning_outside_a_container_keeps_the_containers_processes(images: Images) -> None:
    # In a container there is another process 1, which began at another time.
    marked = {sandbox.MARK: "1-1000-1"}
    options = ("--network", "none", "--entrypoint", "sleep")
    with container(images.fibservice, "60", options=options, environment=marked) as running:
        sandbox.clean()
        assert running.inspect()["State"]["Running"]

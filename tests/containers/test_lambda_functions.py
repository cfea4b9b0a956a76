"""Both functions in containers of the orchestrator's image, with AWS's runtime interface emulator and the local cloud."""

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
    """Calls the API function as API Gateway does for alice."""

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
def call(api: Function, quiet_platform: Platform) -> Caller:
    return Caller(api, quiet_platform)


def run_worker(inbox: Inbox, worker: Function) -> None:
    """Invoke the worker for every event in the inbox, and for those that these add; none may fail."""
    name, event = inbox.next()
    while True:
        assert name == worker.name
        outcome = worker.invoke(event)
        assert not outcome.get("failure"), f"{outcome}\n{worker.container.logs()}"
        if inbox.is_empty():
            return
        name, event = inbox.next()


def scheduled_event(platform: Platform) -> Any:
    """The event of the platform's light schedule, with Scheduler's placeholders filled in."""
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
    call: Caller, worker: Function, inbox: Inbox, quiet_platform: Platform
) -> None:
    status, record = call("PUT", "/environments/boxed1", {"image": LATEST, "ttl": "1s"})
    assert (status, record["status"]) == (202, "pending")
    run_worker(inbox, worker)
    status, record = call("GET", "/environments/boxed1")
    assert (status, record["status"]) == (200, "ready")
    url = record["url"]
    assert json.loads(urllib3.request("GET", f"{url}/fib/20").data) == {"fib": 6765, "n": 20}

    while inbox.is_empty():
        worker.invoke(scheduled_event(quiet_platform))
        time.sleep(1)
    run_worker(inbox, worker)
    status, record = call("GET", "/environments/boxed1")
    assert (status, record["status"]) == (200, "destroyed")
    assert record["reason"].startswith("expired")


def test_a_hundred_warm_invocations_leave_no_file_and_no_process(
    call: Caller, api: Function, worker: Function, inbox: Inbox
) -> None:
    call("PUT", "/environments/boxed2", {"image": LATEST})
    _, event = inbox.next()
    worker.invoke(event)
    assert call("GET", "/environments/boxed2")[1]["status"] == "ready"
    before = [(function.temporary_bytes(), function.container.processes()) for function in (api, worker)]
    for _ in range(WARM):
        assert call("GET", "/environments/boxed2")[0] == 200
        worker.invoke(event)
    assert [(function.temporary_bytes(), function.container.processes()) for function in (api, worker)] == before
    call("DELETE", "/environments/boxed2")
    run_worker(inbox, worker)
    assert call("GET", "/environments/boxed2")[1]["status"] == "destroyed"


def test_a_create_and_a_destroy_leave_only_the_clis_small_files_and_no_process(
    call: Caller, worker: Function, inbox: Inbox
) -> None:
    def create_and_destroy() -> None:
        call("PUT", "/environments/boxed3", {"image": LATEST})
        run_worker(inbox, worker)
        call("DELETE", "/environments/boxed3")
        run_worker(inbox, worker)
        assert call("GET", "/environments/boxed3")[1]["status"] == "destroyed"

    create_and_destroy()
    files, processes, size = set(worker.temporary_files()), worker.container.processes(), worker.temporary_bytes()
    create_and_destroy()
    new = set(worker.temporary_files()) - files
    # The CLI's logs, which it rotates at 20 MB, and about 70 bytes for each of its work folders.
    assert {file.split("/")[4] for file in new} == {"logs", "workspaces"}
    assert worker.temporary_bytes() - size < 100_000
    assert worker.container.processes() == processes


def test_cleaning_outside_a_container_keeps_the_containers_processes(images: Images) -> None:
    # A container has a process 1 of its own, which started at another time.
    marked = {sandbox.MARK: "1-1000-1"}
    options = ("--network", "none", "--entrypoint", "sleep")
    with container(images.fibservice, "60", options=options, environment=marked) as running:
        sandbox.clean()
        assert running.inspect()["State"]["Running"]

"""`make demo`: the original script's job over HTTP, on the local cloud, from an empty cloud to an empty cloud.

Rule: it does only what any caller can, signed as a user who may only call the API. As the operator it does one thing:
it brings schedules forward, so that nobody has to wait for the night.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import urllib3
from rich.console import Console
from rich.table import Table

from fibfactory_cli.client import Answer, ApiError, Client
from localcloud.errors import CloudError
from tools.platform_on_localcloud import DeployFailed, Platform, forget_other_clouds, running_platform

IMAGE = "public.ecr.aws/fibfactory/fibservice:latest"
_SHORT_LIMIT = 20
_LEASE_MARGIN = 2
_TIMEOUT_SECONDS = 60
console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """A step did not have the expected result."""


def main() -> int:
    """Run the demo; returns the exit code."""
    started = time.monotonic()
    forget_other_clouds()
    try:
        with running_platform(progress=_dim) as platform:
            _step(f"The platform is deployed after {time.monotonic() - started:.1f} s")
            console.print(f"  API: [bold]{platform.outputs['api_url']}[/]")
            client = Client(platform.outputs["api_url"], platform.cloud.session("alice"))
            by_request(client)
            by_schedule(client, platform)
            by_recovery(client, platform)
            require_no_service(platform)
    except (CloudError, DeployFailed, DemoFailed, ApiError) as error:
        console.print(f"[red]The demo failed:[/] {error}")
        console.print(getattr(error, "output", ""), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    left = [process.pid for process in psutil.Process().children(recursive=True)]
    if left:
        console.print(f"[red]Still running:[/] {left}")
        return 1
    console.print("  no process and no file of the local cloud is left")
    _show_what_was_real()
    console.print(f"[bold]Done in {time.monotonic() - started:.1f} s.[/]")
    return 0


def by_request(client: Client) -> None:
    """Create, use, list, destroy, as the original script did."""
    _step("An environment is requested, used, and destroyed by request")
    record = _create(client, "test1", "1h")
    _visit(f"{record['url']}/fib/20", b'{"fib":6765,"n":20}\n')
    _require_listed(client, ["test1"])
    _destroy(client, "test1")
    _require_listed(client, [])


def by_schedule(client: Client, platform: Platform) -> None:
    """The schedule destroys an environment whose time is up."""
    _step("Another one outlives its time, and the schedule finds it stale")
    record = _create(client, "stale1", "1s")
    console.print(f"  its time was up at {record['expires_at']}")
    with _timed("swept"):
        _bring_forward(platform, "nightly")
        _wait_for_change(client, record)
        record = _follow(client, "stale1", "destroyed")
    console.print(f"  reason: {record['reason']}")
    _show_receipt(record)
    _require_listed(client, [])


def by_recovery(client: Client, platform: Platform) -> None:
    """A worker is killed during a create; the light sweep finds its expired lease, and the next worker recovers."""
    _step("A worker is killed during a create, and the sweep has it recovered")
    admin = platform.cloud.apprunner_admin
    admin.behave(delays={"create": 3})
    margin = {"FIBFACTORY_LEASE_MARGIN_SECONDS": str(_LEASE_MARGIN)}
    with platform.configured("worker_function", margin, _SHORT_LIMIT):
        console.print(
            f"  for this step the worker function's limit is {_SHORT_LIMIT} s instead of 15 min, so that its lease ends soon"
        )
        _call(client, "PUT", "/environments/heal1", {"image": IMAGE, "ttl": "1h"})
        _kill_worker("heal1")
        killed = time.monotonic()  # the worker claimed before this, so its lease ends within the limit from here
        record = client.call("GET", "/environments/heal1").checked().body
        console.print(
            f"  killed with SIGKILL: the worker and its Pulumi CLI; the record says {record['status']}, and Pulumi's lock stays"
        )
        admin.behave(delays={"create": 0.3})
        lease_left = max(0.0, _SHORT_LIMIT + _LEASE_MARGIN - (time.monotonic() - killed))
        console.print(
            f"  no other worker may touch it until the dead worker's lease ends, in {lease_left:.0f} s at most"
        )
        time.sleep(lease_left)
        _bring_forward(platform, "light")
        record = _follow(client, "heal1", "ready")
        console.print(f"  recovered {time.monotonic() - killed:.1f} s after the kill; its events:")
        for event in client.call("GET", "/environments/heal1/events", query={"limit": 100}).checked().body["events"]:
            if event["kind"] != "progress" or "dead worker" in event["message"] or "half made" in event["message"]:
                console.print(f"    {event['kind']:10} {event['message']}", style="dim", markup=False)
        _visit(f"{record['url']}/fib/20", b'{"fib":6765,"n":20}\n')
        _destroy(client, "heal1")


def require_no_service(platform: Platform) -> None:
    """App Runner has no service left."""
    services = platform.cloud.session("operator").client("apprunner").list_services()["ServiceSummaryList"]
    if services:
        raise DemoFailed(f"App Runner still lists {[service['ServiceName'] for service in services]}.")
    _step("App Runner lists no service; the local cloud stops")


def _create(client: Client, environment_id: str, ttl: str) -> Any:
    with _timed("ready"):
        _call(client, "PUT", f"/environments/{environment_id}", {"image": IMAGE, "ttl": ttl})
        return _follow(client, environment_id, "ready")


def _destroy(client: Client, environment_id: str) -> None:
    with _timed("destroyed"):
        _call(client, "DELETE", f"/environments/{environment_id}")
        record = _follow(client, environment_id, "destroyed")
    _show_receipt(record)


def _bring_forward(platform: Platform, schedule: str) -> None:
    console.print(
        f"  the {schedule} schedule's event is brought forward to now; EventBridge Scheduler fires it within 10 s"
    )
    platform.bring_forward(platform.outputs[f"{schedule}_schedule"])


def _kill_worker(environment_id: str) -> None:
    """Kill, as a sandbox that ends would, the worker and the engine that are creating this environment."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    stack = f"fibfactory-{environment_id}"
    while time.monotonic() < deadline:
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "pulumi" and {"up", stack} <= set(process.info["cmdline"] or ()):
                time.sleep(1.5)  # until the service is being created
                for victim in (process.parent(), process):
                    if victim:
                        victim.kill()
                return
        time.sleep(0.05)
    raise DemoFailed(f"No worker began to create {environment_id} within a minute.")


def _call(client: Client, method: str, path: str, body: Any = None) -> Answer:
    answer = client.call(method, path, body)
    console.print(f"  {method:6} {path:24} [cyan]{answer.status}[/] {answer.seconds:6.2f} s", end="")
    status = answer.body.get("status") if isinstance(answer.body, dict) else None
    console.print(f"  {status}" if status else "")
    return answer.checked()


def _follow(client: Client, environment_id: str, wanted: str) -> Any:
    record = client.follow(
        environment_id,
        timeout_seconds=120,
        on_change=lambda now: console.print(f"         … {now['status']}", style="dim"),
    )
    _call(client, "GET", f"/environments/{environment_id}")
    if record["status"] != wanted:
        raise DemoFailed(f"{environment_id} is {record['status']}, not {wanted}: {record['error']}")
    return record


def _wait_for_change(client: Client, record: Any) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        query = {"wait": 20, "version": record["version"]}
        latest = client.call("GET", f"/environments/{record['id']}", query=query).checked().body
        if latest["generation"] != record["generation"]:
            return
    raise DemoFailed("The schedule did not find the stale environment within a minute.")


def _require_listed(client: Client, expected: list[str]) -> None:
    found = [record["id"] for record in _call(client, "GET", "/environments").body["environments"]]
    console.print(f"         environments: {', '.join(found) or 'none'}")
    if found != expected:
        raise DemoFailed(f"The list should be {expected}.")


def _visit(url: str, expected: bytes) -> None:
    started = time.monotonic()
    answer = urllib3.request("GET", url)
    seconds = time.monotonic() - started
    console.print(
        f"  GET    {url:24} [cyan]{answer.status}[/] {seconds:6.2f} s  [bold]{answer.data.decode().strip()}[/]"
    )
    if answer.data != expected:
        raise DemoFailed(f"{url} should answer {expected.decode()}")


def _show_receipt(record: Any) -> None:
    receipt = record["receipt"]
    console.print(f"  [green]destroyed[/], with its receipt of {receipt['at']}:")
    for line in receipt["checked"]:
        console.print(f"    checked     {line}")
    for line in receipt["cannot_see"]:
        console.print(f"    cannot see  {line}")


def _show_what_was_real() -> None:
    table = Table(title="What was on that path", title_justify="left")
    for column in ("", "real", "emulated by others (ministack)", "our own stand-in for AWS"):
        table.add_column(column, overflow="fold")
    for row in (
        ("events", "payloads, SigV4", "API Gateway, Scheduler, IAM", ""),
        ("code", "orchestrator, template_stack, bootstrap", "Lambda, which really runs it", ""),
        ("engine", "Pulumi CLI and engine, Automation API", "", "the AWS plug-in (the official one was not run)"),
        ("state", "Pulumi's S3 backend and awskms secrets", "S3, KMS, DynamoDB", ""),
        ("service", "fibservice, a process on this machine", "", "App Runner"),
    ):
        table.add_row(*row)
    console.print(table)


@contextmanager
def _timed(event: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    console.print(f"  {event} after {time.monotonic() - started:.1f} s")


def _step(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _dim(line: str) -> None:
    console.print(f"  {line}", style="dim", markup=False)


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: the post over HTTP, on the local cloud, from nothing to nothing.

The rule: it only does what any caller could, signed as a user who may do no more than call the API; the one thing that it does as
the operator is to bring the nightly schedule forward, because nobody wants to wait for the night.
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
console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """Something on the way was not as it should be."""


def main() -> int:
    """Run the demo; returns the exit code."""
    started = time.monotonic()
    forget_other_clouds()
    try:
        with running_platform(progress=_quiet) as platform:
            _step(f"The platform is deployed after {time.monotonic() - started:.1f} s")
            console.print(f"  API: [bold]{platform.outputs['api_url']}[/]")
            client = Client(platform.outputs["api_url"], platform.cloud.session("alice"))
            by_request(client)
            by_schedule(client, platform)
            by_healing(client, platform)
            nothing_runs(platform)
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
    _what_was_real()
    console.print(f"[bold]Done in {time.monotonic() - started:.1f} s.[/]")
    return 0


def by_request(client: Client) -> None:
    """Create, use, list, destroy: the post's own story."""
    _step("An environment is asked for, used, and destroyed by request")
    with _timed("ready"):
        _call(client, "PUT", "/environments/test1", {"image": IMAGE, "ttl": "1h"})
        record = _followed(client, "test1", "ready")
    _visit(f"{record['url']}/fib/20", b'{"fib":6765,"n":20}\n')
    _listed(client, ["test1"])
    with _timed("destroyed"):
        _call(client, "DELETE", "/environments/test1")
        record = _followed(client, "test1", "destroyed")
    _receipt(record)
    _listed(client, [])


def by_schedule(client: Client, platform: Platform) -> None:
    """An environment whose time is up goes because the schedule finds it."""
    _step("Another one outlives its time, and the schedule finds it stale")
    with _timed("ready"):
        _call(client, "PUT", "/environments/stale1", {"image": IMAGE, "ttl": "1s"})
        record = _followed(client, "stale1", "ready")
    console.print(f"  its time was up at {record['expires_at']}")
    with _timed("swept"):
        platform.bring_forward(platform.outputs["nightly_schedule"])
        console.print(
            "  the nightly schedule's event is brought forward to now; EventBridge Scheduler fires it within 10 s"
        )
        record = _changed(client, record)
        record = _followed(client, "stale1", "destroyed")
    console.print(f"  reason: {record['reason']}")
    _receipt(record)
    _listed(client, [])


def by_healing(client: Client, platform: Platform) -> None:
    """A worker is killed in the middle of a create; the light sweep finds its lease ended, and the next worker heals."""
    _step("A worker is killed in the middle of a create, and the sweep has it healed")
    admin = platform.cloud.apprunner_admin
    admin.behave(delays={"create": 3})
    with platform.configured("worker_function", {"FIBFACTORY_LEASE_MARGIN_SECONDS": "2"}, _SHORT_LIMIT):
        console.print(
            f"  for this scene the worker function's limit is {_SHORT_LIMIT} s instead of 15 min, so that its lease ends soon"
        )
        _call(client, "PUT", "/environments/heal1", {"image": IMAGE, "ttl": "1h"})
        killed = time.monotonic()
        _kill_worker("heal1")
        record = client.call("GET", "/environments/heal1").checked().body
        console.print(
            f"  killed -9: the worker and its Pulumi; the record says {record['status']}, and Pulumi's lock stays"
        )
        admin.behave(delays={"create": 0.3})
        lease_left = max(0.0, _SHORT_LIMIT + 2 - (time.monotonic() - killed))
        console.print(f"  nobody may touch it until the dead worker's lease is over, in {lease_left:.0f} s at most")
        time.sleep(lease_left)
        console.print("  the light sweep is brought forward to now; EventBridge Scheduler fires it within 10 s")
        platform.bring_forward(platform.outputs["light_schedule"])
        record = _followed(client, "heal1", "ready")
        console.print(f"  healed {time.monotonic() - killed:.1f} s after the kill; what happened meanwhile:")
        for event in client.call("GET", "/environments/heal1/events", query={"limit": 100}).checked().body["events"]:
            if event["kind"] != "progress" or "dead worker" in event["message"] or "half made" in event["message"]:
                console.print(f"    {event['kind']:10} {event['message']}", style="dim", markup=False)
        _visit(f"{record['url']}/fib/20", b'{"fib":6765,"n":20}\n')
        _call(client, "DELETE", "/environments/heal1")
        _receipt(_followed(client, "heal1", "destroyed"))


def _kill_worker(environment_id: str) -> None:
    """Kill, as a sandbox that ends would, the worker and the engine that is making this environment."""
    give_up = time.monotonic() + 60
    stack = f"fibfactory-{environment_id}"
    while time.monotonic() < give_up:
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "pulumi" and {"up", stack} <= set(process.info["cmdline"] or ()):
                time.sleep(1.5)  # until the service is being made
                for doomed in (process.parent(), process):
                    if doomed:
                        doomed.kill()
                return
        time.sleep(0.05)
    raise DemoFailed(f"No worker came to make {environment_id} within a minute.")


def nothing_runs(platform: Platform) -> None:
    """App Runner has no service left."""
    services = platform.cloud.session("operator").client("apprunner").list_services()["ServiceSummaryList"]
    if services:
        raise DemoFailed(f"App Runner still lists {[service['ServiceName'] for service in services]}.")
    _step("App Runner lists no service; the local cloud stops")


def _call(client: Client, method: str, path: str, body: Any = None) -> Answer:
    answer = client.call(method, path, body)
    console.print(f"  {method:6} {path:24} [cyan]{answer.status}[/] {answer.seconds:6.2f} s", end="")
    status = answer.body.get("status") if isinstance(answer.body, dict) else None
    console.print(f"  {status}" if status else "")
    return answer.checked()


def _followed(client: Client, environment_id: str, wanted: str) -> Any:
    record = client.follow(
        environment_id, patience=120, on_change=lambda now: console.print(f"         … {now['status']}", style="dim")
    )
    _call(client, "GET", f"/environments/{environment_id}")
    if record["status"] != wanted:
        raise DemoFailed(f"{environment_id} is {record['status']}, not {wanted}: {record['error']}")
    return record


def _changed(client: Client, record: Any) -> Any:
    give_up = time.monotonic() + 60
    while True:
        query = {"wait": 20, "version": record["version"]}
        latest = client.call("GET", f"/environments/{record['id']}", query=query).checked().body
        if latest["generation"] != record["generation"]:
            return latest
        if time.monotonic() > give_up:
            raise DemoFailed("The schedule did not find the stale environment within a minute.")


def _listed(client: Client, expected: list[str]) -> None:
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


def _receipt(record: Any) -> None:
    receipt = record["receipt"]
    console.print(f"  [green]destroyed[/], with its receipt of {receipt['at']}:")
    for line in receipt["checked"]:
        console.print(f"    looked at   {line}")
    for line in receipt["cannot_see"]:
        console.print(f"    cannot see  {line}")


def _what_was_real() -> None:
    table = Table(title="What was on that path", title_justify="left")
    for column in ("", "real", "emulated by others (ministack)", "ours, standing in for AWS"):
        table.add_column(column, overflow="fold")
    table.add_row("events", "payloads, SigV4", "API Gateway, Scheduler, IAM", "")
    table.add_row("code", "orchestrator, template_stack, bootstrap", "Lambda, which really runs it", "")
    table.add_row(
        "engine", "Pulumi CLI and engine, Automation API", "", "the AWS plug-in (the official one was not run)"
    )
    table.add_row("state", "Pulumi's S3 backend and awskms secrets", "S3, KMS, DynamoDB", "")
    table.add_row("service", "fibservice, a process on this machine", "", "App Runner")
    console.print(table)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    console.print(f"  {what} after {time.monotonic() - started:.1f} s")


def _step(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _quiet(line: str) -> None:
    console.print(f"  {line}", style="dim", markup=False)


if __name__ == "__main__":
    sys.exit(main())

"""The stage: a platform whose functions reach AWS through the fault proxy, and the eyes that see all of it.

Rule: the operator's own means set it up (the functions' configuration and the schedules), and everything is put back when it
ends. What is looked at is looked at past the proxy.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from botocore.config import Config

from fibfactory_cli.client import Client
from localcloud.faults.proxy import Proxy, serve
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from tools.platform_on_localcloud import Platform

FUNCTION_SECONDS = 30
LEASE_MARGIN_SECONDS = 2
_PATIENCE = Config(connect_timeout=5, read_timeout=180, retries={"total_max_attempts": 1}, max_pool_connections=64)
_PREFIX = "fib-app"
_LOOK_EVERY = 0.25


@dataclass(frozen=True)
class Stage:
    """The platform behind the proxy. Its functions live `seconds`, so that a dead worker's lease ends soon."""

    platform: Platform
    proxy: Proxy

    @cached_property
    def caller(self) -> Client:
        """Who asks for environments: may call the API and nothing else."""
        return Client(self.platform.outputs["api_url"], self.platform.cloud.session("alice"))

    def record(self, environment_id: str) -> Environment | None:
        """The environment as the table has it."""
        return self._records.get(environment_id)

    def sweep(self, kind: str = "light") -> Mapping[str, Any]:
        """Let the schedule's event happen now; the sweep's report, or what the function's error was."""
        event = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": kind}}
        answer: Mapping[str, Any] = json.loads(self.invoke(event))
        return answer

    def work(self, environment_id: str) -> bytes:
        """One worker for this environment, waited for."""
        return self.invoke({"environment": environment_id})

    def invoke(self, event: Mapping[str, Any]) -> bytes:
        """The worker function's answer to this event."""
        answer = self._lambda.invoke(FunctionName=self.worker_function, Payload=json.dumps(event).encode())
        payload: bytes = answer["Payload"].read()
        return payload

    @property
    def worker_function(self) -> str:
        return self.platform.outputs["worker_function"]

    def services(self, environment_id: str | None = None) -> list[str]:
        """The ARNs of all services that are not deleted: of one environment, or at all."""
        wanted = names.service_name(_PREFIX, environment_id) if environment_id else None
        return [
            service.arn
            for service in self.platform.cloud.apprunner_admin.services()
            if service.status != "DELETED" and wanted in (None, service.name)
        ]

    def left_in_state(self, environment_id: str) -> list[str]:
        """What is in the state bucket that should not be when nothing is done to the environment: locks, pending operations."""
        locks = self._keys(f".pulumi/locks/organization/{names.PROJECT}/{names.stack_name(environment_id)}/")
        found = [f"lock {key}" for key in locks]
        for key in self._checkpoints(environment_id):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            latest = json.loads(body)["checkpoint"].get("latest") or {}
            found += [
                f"pending {each['type']} of {each['resource']['urn']}"
                for each in latest.get("pending_operations") or []
            ]
        return found

    def has_state(self, environment_id: str) -> bool:
        """Whether the environment's stack is in the state bucket."""
        return bool(self._checkpoints(environment_id))

    def _checkpoints(self, environment_id: str) -> list[str]:
        key = f".pulumi/stacks/{names.PROJECT}/{names.stack_name(environment_id)}.json"
        return [found for found in self._keys(key) if found == key]

    def _keys(self, prefix: str) -> list[str]:
        return [
            each["Key"] for each in self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix).get("Contents", [])
        ]

    @property
    def _bucket(self) -> str:
        return self.platform.outputs["state_bucket"]

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3")

    def strays(self, environment_id: str) -> list[int]:
        """Processes that still work on the environment's stack, its CLI's and what those started."""
        stack = names.stack_name(environment_id)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if stack in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def until(self, look: Callable[[], Any], seconds: float, what: str) -> Any:
        """What `look` finds, once it finds something. TimeoutError, in words, when it does not in time."""
        give_up = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > give_up:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(_LOOK_EVERY)
        return found

    @cached_property
    def _records(self) -> DynamoRecords:
        return DynamoRecords(self._client("dynamodb"), self.platform.outputs["table_name"])

    @cached_property
    def _lambda(self) -> Any:
        return self._client("lambda")

    def _client(self, service: str) -> Any:
        return self.platform.cloud.session("operator").client(service, config=_PATIENCE)


@contextmanager
def stage_on(
    platform: Platform, variables: Mapping[str, str] | None = None, seconds: int = FUNCTION_SECONDS
) -> Iterator[Stage]:
    """Put the proxy in front of a platform's functions; `variables` are added to the worker function's."""
    cloud = platform.cloud
    with serve(cloud.endpoint_url, cloud.apprunner_url) as proxy, _schedules_off(platform):
        reached = {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_APPRUNNER": proxy.url,
            "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": proxy.url,
        }
        worker = {**reached, "FIBFACTORY_LEASE_MARGIN_SECONDS": str(LEASE_MARGIN_SECONDS), **(variables or {})}
        with (
            platform.configured("api_function", reached),
            platform.configured("worker_function", worker, seconds),
        ):
            yield Stage(platform, proxy)


@contextmanager
def _schedules_off(platform: Platform) -> Iterator[None]:
    """A sweep that nobody ordered would be counted by nobody."""
    scheduler = platform.cloud.session("operator").client("scheduler")
    schedules = [scheduler.get_schedule(Name=platform.outputs[each]) for each in ("light_schedule", "nightly_schedule")]
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description")

    def switch(state: str) -> None:
        for schedule in schedules:
            scheduler.update_schedule(**{key: schedule[key] for key in kept if key in schedule}, State=state)

    switch("DISABLED")
    try:
        yield
    finally:
        switch("ENABLED")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class WrappedCli:
    """A CLI that brings a plug-in with it for chosen stacks: a process of its own session that outlives a killed CLI.

    The stand-in provider is attached to and no child of the CLI; the official plug-in is one, and so it behaves.
    """

    folder: Path

    def variables(self, platform: Platform) -> dict[str, str]:
        """What a worker needs to find this CLI before the real one."""
        cloud = platform.cloud
        (self.folder / "for").mkdir(parents=True)
        real = Path(cloud.pulumi_bin or "/usr/bin") / "pulumi"
        wrapper = self.folder / "pulumi"
        wrapper.write_text(_WRAPPER.format(real=real, python=sys.executable, folder=self.folder))
        wrapper.chmod(0o755)
        return {
            "PATH": os.pathsep.join([str(self.folder), *cloud.path_folders(), "/usr/local/bin", "/usr/bin", "/bin"])
        }

    def plug_in(self, stack: str, wanted: bool) -> None:
        """Whether the next CLI that works on this stack brings a plug-in."""
        mark = self.folder / "for" / stack
        mark.touch() if wanted else mark.unlink(missing_ok=True)


_WRAPPER = """#!/bin/sh
for word do
    if [ -e "{folder}/for/$word" ]; then
        setsid {python} -S -c 'import time; time.sleep(300)' "$word" </dev/null >/dev/null 2>&1 &
    fi
done
exec {real} "$@"
"""

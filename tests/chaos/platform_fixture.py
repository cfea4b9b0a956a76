"""A platform whose functions reach AWS through the fault proxy, and everything that a test reads of it.

The rule: it is set up with the operator's own means (the functions' configuration and the schedules), and everything is restored
at the end. The test's own reading does not go through the proxy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.config import Config

from fibfactory_cli.client import Client
from localcloud.faults.faults import Armed, Fault
from localcloud.faults.proxy import Proxy, serve
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.sweeps import SweepKind, SweepReport
from tools.platform_on_localcloud import Platform

FUNCTION_SECONDS = 30
"""The worker function's limit: long enough for an operation here, and a dead worker's lease ends after it."""
LEASE_MARGIN_SECONDS = 2
_CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=180, retries={"total_max_attempts": 1}, max_pool_connections=64)
_PREFIX = "fib-app"


@dataclass(frozen=True)
class PlatformFixture:
    """The platform behind the proxy."""

    platform: Platform
    proxy: Proxy

    @cached_property
    def caller(self) -> Client:
        """A caller who may use the API and nothing else."""
        return Client(self.platform.outputs["api_url"], self.platform.cloud.session("alice"))

    def record(self, environment_id: str) -> Environment | None:
        """The environment as the table has it."""
        return self._records.get(environment_id)

    def sweep(self, kind: SweepKind = SweepKind.LIGHT) -> SweepReport | None:
        """Send the schedule's event now. Returns the sweep's report; None when it has none: it failed, or found nothing."""
        event = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {"sweep": kind}}
        sweep_id = json.loads(self.invoke(event)).get("id")
        return self._reports.read(sweep_id) if sweep_id else None

    @contextmanager
    def armed(self, fault: Fault) -> Iterator[Armed]:
        """Let a fault happen to the calls within the block."""
        armed = self.proxy.arm(fault)
        try:
            yield armed
        finally:
            self.proxy.disarm(armed)

    def work(self, environment_id: str) -> bytes:
        """Run one worker for this environment."""
        return self.invoke({"environment": environment_id})

    def invoke(self, event: Mapping[str, Any]) -> bytes:
        """Invoke the worker function with this event. Returns its answer."""
        answer = self._lambda.invoke(FunctionName=self.worker_function, Payload=json.dumps(event).encode())
        payload: bytes = answer["Payload"].read()
        return payload

    @property
    def worker_function(self) -> str:
        return self.platform.outputs["worker_function"]

    def services(self, environment_id: str | None = None) -> list[str]:
        """The ARNs of the services that are not deleted: one environment's, or all."""
        wanted = names.service_name(_PREFIX, environment_id) if environment_id else None
        return [
            service.arn
            for service in self.platform.cloud.apprunner_admin.services()
            if service.status != "DELETED" and wanted in (None, service.name)
        ]

    def left_in_state(self, environment_id: str) -> list[str]:
        """The locks and pending operations in the state bucket: there are none when nothing is being done."""
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

    @cached_property
    def _records(self) -> DynamoRecords:
        return DynamoRecords(self._table, self.platform.outputs["table_name"])

    @cached_property
    def _reports(self) -> DynamoReports:
        return DynamoReports(self._table, self.platform.outputs["table_name"])

    @cached_property
    def _table(self) -> Any:
        """A client that takes and gives plain values, as the two adapters need it."""
        return self.platform.cloud.session("operator").resource("dynamodb", config=_CLIENT_CONFIG).meta.client

    @cached_property
    def _lambda(self) -> Any:
        return self._client("lambda")

    def _client(self, service: str) -> Any:
        return self.platform.cloud.session("operator").client(service, config=_CLIENT_CONFIG)


@contextmanager
def behind_proxy(
    platform: Platform, variables: Mapping[str, str] | None = None, seconds: int = FUNCTION_SECONDS
) -> Iterator[PlatformFixture]:
    """Put the proxy between a platform's functions and AWS.

    `variables` are added to the worker function's; its hard limit is set to `seconds`, so that a dead worker's lease ends soon.
    """
    cloud = platform.cloud
    with serve(cloud.endpoint_url, cloud.apprunner_url) as proxy, platform.schedules_off():
        endpoints = {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_APPRUNNER": proxy.url,
            "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": proxy.url,
        }
        worker = {**endpoints, "FIBFACTORY_LEASE_MARGIN_SECONDS": str(LEASE_MARGIN_SECONDS), **(variables or {})}
        with (
            platform.configured("api_function", endpoints),
            platform.configured("worker_function", worker, seconds),
        ):
            yield PlatformFixture(platform, proxy)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class WrappedCli:
    """A CLI that starts a plug-in process for chosen stacks, in a session of its own, so that it outlives a killed CLI.

    The official plug-in is such a child of the CLI; the stand-in provider is not, as the CLI attaches to it.
    """

    folder: Path

    def variables(self, platform: Platform) -> dict[str, str]:
        """The variables with which a worker finds this CLI before the real one."""
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
        """Whether the next CLI that works on this stack starts a plug-in process."""
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

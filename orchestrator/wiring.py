"""Where ports and adapters are put together: each once, when the first event needs it.

The rule: only this module reads settings from the environment and makes clients, and no function loads the other's parts.
"""

from __future__ import annotations

import socket
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from orchestrator.adapters.aws.dispatcher import LambdaDispatcher
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.ports import Ports, WorkerPorts
from orchestrator.settings import Settings, WorkerSettings

if TYPE_CHECKING:
    from orchestrator.api.context import ApiContext
    from orchestrator.sweeper.sweep import Sweep
    from orchestrator.worker.reconciler import Reconciler

logger = Logger(child=True)

CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})


def utc_now() -> datetime:
    return datetime.now(UTC)


class Dependencies:
    """Everything that one function needs. Each part is made when it is first used."""

    @cached_property
    def api(self) -> ApiContext:
        from orchestrator.api.context import ApiContext
        from orchestrator.api.use_cases import EnvironmentService, SweepService

        settings = Settings()  # type: ignore[call-arg]  # from the environment
        ports = self._ports(settings)
        environments = EnvironmentService(ports, settings.lifetimes, settings.policy)
        return ApiContext(settings, environments, SweepService(ports))

    @cached_property
    def reconciler(self) -> Reconciler:
        from orchestrator.worker.reconciler import Reconciler

        return Reconciler(self.worker_ports, socket.gethostname())

    @cached_property
    def sweep(self) -> Sweep:
        from orchestrator.sweeper.sweep import Sweep

        return Sweep(self.worker_ports, self.worker_settings.platform, self.worker_settings.prefix)

    @cached_property
    def worker_settings(self) -> WorkerSettings:
        return WorkerSettings()  # type: ignore[call-arg]  # from the environment

    @cached_property
    def worker_ports(self) -> WorkerPorts:
        from orchestrator.adapters import sandbox
        from orchestrator.adapters.aws.cloud import AwsCloud
        from orchestrator.adapters.aws.inventory import AwsInventory
        from orchestrator.adapters.health import HttpHealth
        from orchestrator.adapters.pulumi.engine import PulumiEngine
        from orchestrator.adapters.pulumi.stacks import PulumiStacks, Target
        from orchestrator.adapters.pulumi.state import StateBucket

        # First, as a dead worker may have left the disk full. The temporary files of SDK and engine go into the worker's own
        # folder, so that they are found once it has died.
        sandbox.clean()
        tempfile.tempdir = str(sandbox.own_folder())
        settings = self.worker_settings
        state = StateBucket(self._client("s3"), settings.backend_url)
        apprunner, tagging = self._client("apprunner"), self._client("resourcegroupstaggingapi")
        return WorkerPorts(
            **vars(self._ports(settings)),
            engine=PulumiEngine(
                stacks=PulumiStacks(Target(settings.backend_url, settings.secrets_provider, _pulumi_home())),
                state=state,
                platform=settings.platform,
                prefix=settings.prefix,
                region=boto3.Session().region_name or "",
                access_role_arn=settings.access_role_arn,
                instance_role_arn=settings.instance_role_arn,
            ),
            cloud=AwsCloud(apprunner, tagging, self._client("ecr"), state, settings.platform, settings.prefix),
            health=HttpHealth(),
            inventory=AwsInventory(apprunner, tagging, state, settings.platform, settings.prefix),
        )

    def limits(self, remaining: timedelta) -> InvocationLimits:
        """The limits of an invocation of the worker function that has this time left."""
        settings = self.worker_settings
        return InvocationLimits.of(
            utc_now(),
            remaining,
            stop_before=timedelta(seconds=settings.stop_before_seconds),
            lease_margin=timedelta(seconds=settings.lease_margin_seconds),
        )

    def clean_sandbox(self) -> None:
        """End the processes and remove the files that dead workers left in this sandbox."""
        from orchestrator.adapters import sandbox

        sandbox.clean()

    def _ports(self, settings: Settings) -> Ports:
        table = boto3.resource("dynamodb", config=CLIENT_CONFIG).meta.client
        return Ports(
            DynamoRecords(table, settings.table),
            DynamoReports(table, settings.table),
            LambdaDispatcher(self._client("lambda"), settings.worker_function, logger.get_correlation_id),
            utc_now,
        )

    def _client(self, service: str) -> Any:
        return boto3.client(service, config=CLIENT_CONFIG)


def _pulumi_home() -> str:
    """Where the CLI keeps its logs: under the worker's own temporary folder."""
    home = Path(tempfile.gettempdir()) / "pulumi-home"
    home.mkdir(parents=True, exist_ok=True)
    return str(home)

"""Where ports and adapters are put together: once a sandbox, when the first event needs them.

The rule: nobody else builds a client or reads the environment, and the API's side never loads Pulumi.
"""

from __future__ import annotations

import socket
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from botocore.config import Config

from orchestrator.adapters.aws.dispatcher import LambdaDispatcher
from orchestrator.adapters.dynamodb.records import DynamoRecords
from orchestrator.adapters.dynamodb.reports import DynamoReports
from orchestrator.api import routes as api
from orchestrator.api.use_cases import EnvironmentService, SweepService
from orchestrator.settings import Settings, WorkerSettings
from orchestrator.sweeper.deep import DeepSweep
from orchestrator.sweeper.sweep import Sweep
from orchestrator.worker.invocation import Worker
from orchestrator.worker.reconciler import Reconciler

CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Dependencies:
    """What one sandbox is made of. Each part is built when it is first asked for."""

    logger: Logger
    metrics: Metrics

    @cached_property
    def settings(self) -> Settings:
        return Settings()  # type: ignore[call-arg]  # from the environment

    @cached_property
    def api(self) -> APIGatewayHttpResolver:
        settings = self.settings
        environments = EnvironmentService(
            self._records, self._dispatcher, settings.lifetimes, settings.policy, utc_now, time.sleep
        )
        sweeps = SweepService(self._reports, self._dispatcher, utc_now, lambda: uuid.uuid4().hex)
        return api.build(environments, sweeps, settings, self.logger)

    @cached_property
    def worker(self) -> Worker:
        from orchestrator.adapters import sandbox
        from orchestrator.adapters.aws.cloud import AwsCloud
        from orchestrator.adapters.aws.inventory import AwsInventory
        from orchestrator.adapters.health import HttpHealth
        from orchestrator.adapters.pulumi.engine import PulumiEngine, PulumiStacks, Target
        from orchestrator.adapters.pulumi.state import StateBucket

        # First, as a dead worker may have left the disk full. The SDK's and the engine's own temporary files go into the
        # worker's folder, too, so that they are found when it has died.
        sandbox.clean()
        tempfile.tempdir = str(sandbox.own_folder())
        settings = WorkerSettings()  # type: ignore[call-arg]  # from the environment
        state = StateBucket(self._client("s3"), settings.backend_url)
        apprunner, tagging = self._client("apprunner"), self._client("resourcegroupstaggingapi")
        engine = PulumiEngine(
            stacks=PulumiStacks(Target(settings.backend_url, settings.secrets_provider, pulumi_home())),
            state=state,
            platform=settings.platform,
            prefix=settings.prefix,
            region=boto3.Session().region_name or "",
            access_role_arn=settings.access_role_arn,
            instance_role_arn=settings.instance_role_arn,
        )
        cloud = AwsCloud(apprunner, tagging, self._client("ecr"), state, settings.platform, settings.prefix)
        inventory = AwsInventory(apprunner, tagging, state, settings.platform, settings.prefix)
        deep = DeepSweep(
            self._records, self._reports, self._dispatcher, inventory, utc_now, settings.platform, settings.prefix
        )
        return Worker(
            Reconciler(self._records, engine, cloud, HttpHealth(), self._dispatcher, utc_now, socket.gethostname()),
            Sweep(self._records, self._reports, self._dispatcher, utc_now, deep),
            settings,
            utc_now,
            sandbox.clean,
        )

    @cached_property
    def _records(self) -> DynamoRecords:
        return DynamoRecords(self._client("dynamodb"), self.settings.table)

    @cached_property
    def _reports(self) -> DynamoReports:
        return DynamoReports(self._client("dynamodb"), self.settings.table)

    @cached_property
    def _dispatcher(self) -> LambdaDispatcher:
        return LambdaDispatcher(self._client("lambda"), self.settings.worker_function, self.logger.get_correlation_id)

    def _client(self, service: str) -> Any:
        return boto3.client(service, config=CLIENT_CONFIG)


def build() -> Dependencies:
    """The dependencies of this sandbox. Logger and metrics take their names from Powertools' own environment variables."""
    return Dependencies(Logger(utc=True), Metrics())


def pulumi_home() -> str:
    """Where the CLI keeps its logs: under the worker's own temporary folder."""
    home = Path(tempfile.gettempdir()) / "pulumi-home"
    home.mkdir(parents=True, exist_ok=True)
    return str(home)

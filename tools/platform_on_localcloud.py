"""A platform on a local cloud, for `make up`, the demo and the end-to-end tests.

    with running_platform() as platform:
        platform.outputs["api_url"], platform.environment_for("alice")

Rule: `python -m bootstrap` deploys the platform, run as an operator runs it on AWS, so that this tests the operator's
own path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localcloud.cloud import LocalCloud
from localcloud.running import RunningCloud
from localcloud.settings import ROOT
from localcloud.token_issuer import AUDIENCE

Progress = Callable[[str], None]
NAME = "fibfactory"
WORKFLOWS: tuple[dict[str, str | list[str]], ...] = (
    {"repository_owner_id": "1001", "repository_id": "2001", "refs": ["refs/heads/*", "refs/pull/*"]},
    {
        "repository_owner_id": "1001",
        "repository_id": "2002",
        "job_workflow_refs": ["acme/infra/.github/workflows/deploy.yml@refs/heads/main"],
    },
)
"""The rules for GitHub's workflows, as `localcloud.token_issuer` makes their tokens, that may call the platform."""

# The user's own settings for the real AWS or Pulumi Cloud must not reach a program that deploys to the local one.
_FOREIGN_PREFIXES = ("AWS_", "PULUMI_", "FIBFACTORY_")
_REMEMBERED_LINES = 40
_DEPLOY_SECONDS = 300.0


class DeployFailed(Exception):
    """`python -m bootstrap` failed; `output` is the end of its output, which was all given to `progress` before."""

    def __init__(self, code: int, output: str) -> None:
        how = f"ended with code {code}" if code > 0 else f"was killed, at the latest after {_DEPLOY_SECONDS:.0f} s"
        super().__init__(f"The platform was not deployed: `python -m bootstrap deploy` {how}.")
        self.output = output


@dataclass(frozen=True)
class Platform:
    """A platform that runs on a local cloud, with the outputs of its stack."""

    cloud: RunningCloud
    outputs: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the operator's programs reach it: the cloud's, the APIs' URLs, the state's backend."""
        return self.environment_for("operator")

    def environment_for(self, name: str) -> dict[str, str]:
        """The same for any of the cloud's identities. To be added to a `clean_environment`."""
        return self.cloud.environment(self.cloud.identity(name)) | {
            "FIBFACTORY_API_URL": self.outputs["api_url"],
            "FIBFACTORY_GITHUB_API_URL": self.outputs["github_api_url"],
            "PULUMI_BACKEND_URL": f"s3://{self.outputs['state_bucket']}?region={self.outputs['region']}",
        }

    @contextmanager
    def configured(self, function: str, variables: Mapping[str, str], seconds: int | None = None) -> Iterator[None]:
        """Give a function (`api_function`, `worker_function`) another limit and more variables for the block."""
        client = self.cloud.session("operator").client("lambda")
        name = self.outputs[function]
        before = client.get_function_configuration(FunctionName=name)
        own = before["Environment"]["Variables"]

        def configure(timeout: int, environment: Mapping[str, str]) -> None:
            client.update_function_configuration(
                FunctionName=name, Timeout=timeout, Environment={"Variables": dict(environment)}
            )
            client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

        configure(seconds or before["Timeout"], {**own, **variables})
        try:
            yield
        finally:
            configure(before["Timeout"], own)

    def bring_forward(self, schedule: str) -> None:
        """Have a schedule's event happen within Scheduler's next ten seconds, by a copy that runs once and deletes itself."""
        scheduler = self.cloud.session("operator").client("scheduler")
        found = scheduler.get_schedule(Name=schedule)
        scheduler.create_schedule(
            Name=f"{found['Name']}-now",
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=found["Target"],
            ActionAfterCompletion="DELETE",
        )

    @contextmanager
    def schedules_off(self) -> Iterator[None]:
        """Scheduled sweeps off, so that within the block only the caller starts any."""
        scheduler = self.cloud.session("operator").client("scheduler")
        schedules = [scheduler.get_schedule(Name=self.outputs[each]) for each in ("light_schedule", "nightly_schedule")]
        kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description")

        def switch(state: str) -> None:
            for schedule in schedules:
                scheduler.update_schedule(**{key: schedule[key] for key in kept if key in schedule}, State=state)

        switch("DISABLED")
        try:
            yield
        finally:
            switch("ENABLED")


@contextmanager
def running_platform(progress: Progress = print) -> Iterator[Platform]:
    """Start a local cloud, deploy the platform on it, and leave nothing of either. Raises CloudError, DeployFailed."""
    progress("Starting the local cloud")
    with LocalCloud() as cloud:
        yield deploy(cloud, progress)


def deploy(cloud: RunningCloud, progress: Progress) -> Platform:
    """Deploy the platform, or update it to the code as it is now. Raises DeployFailed.

    Each line of the deployment's output goes to `progress`. The cloud's operator is the platform's operator too.
    """
    operator = cloud.identity("operator")
    environment = clean_environment(os.environ) | cloud.environment(operator) | cloud.marked_environment()
    # The Automation API never deletes its work folders and the CLI logs every run: both are removed with the cloud's folder.
    environment |= {"PULUMI_HOME": str(cloud.folder / "home" / "pulumi"), "TMPDIR": str(cloud.folder / "tmp")}
    arguments = ["--platform", NAME, "--code", "archive", "--operator", operator.user_arn, "--yes", "--json"]
    # The account's own registry, as by default, and the public images that the demo and the tests run.
    own = f"{cloud.account}.dkr.ecr.{cloud.region}.amazonaws.com/"
    arguments += ["--image-registry", own, "--image-registry", "public.ecr.aws/fibfactory/"]
    arguments += ["--settings", str(_settings_file(cloud))]
    last_lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
    with subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "deploy", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        alarm = threading.Timer(_DEPLOY_SECONDS, process.kill)
        # A Ctrl-C can come before the `try`; then the alarm must not keep the program alive.
        alarm.daemon = True
        alarm.start()
        try:
            for line in process.stderr:
                last_lines.append(line)
                progress(line.rstrip())
            # Read last: the outputs are a few hundred bytes and wait in the pipe.
            outputs = process.stdout.read()
        finally:
            alarm.cancel()
    if process.returncode:
        raise DeployFailed(process.returncode, "".join(last_lines))
    return Platform(cloud, json.loads(outputs))


def _settings_file(cloud: RunningCloud) -> Path:
    """The settings that have no option: room for many environments, and the workflows that may call, by the cloud's issuer."""
    file = cloud.folder / "platform.toml"
    # JSON's strings and lists are TOML's, too.
    file.write_text(
        f"environments_per_owner = 200\n"
        f"github_audience = {json.dumps(AUDIENCE)}\n"
        f"github_issuer = {json.dumps(cloud.tokens.url)}\n"
        + "".join(
            "[[github]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in workflows.items())
            for workflows in WORKFLOWS
        )
    )
    return file


def forget_other_clouds() -> None:
    """Remove from this process's environment all that leads to another AWS, Pulumi or platform, or through a proxy.

    For programs that call the local cloud themselves: in botocore, variables win over everything else.
    """
    for name in [each for each in os.environ if each.startswith(_FOREIGN_PREFIXES)]:
        del os.environ[name]
    os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables of another AWS, Pulumi or platform."""
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN_PREFIXES)}

"""Ephemeral environments from a terminal: python fibfactory.py --env-id test1 create | list | destroy

With FIBFACTORY_API_URL it calls the platform's HTTP API, signed with your AWS credentials. Without it, the same engine runs in
this process, with the backend that Pulumi is configured for (S3, file:// or Pulumi Cloud). Such environments have no lease, no
TTL and no sweep; their tag `fibfactory:platform=none` keeps every platform's sweep from touching them.

Exit codes: 0 done · 1 it failed · 2 wrong usage · 3 there is no such environment · 130 interrupted.
"""

from __future__ import annotations

import getpass
import math
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import click

from fibfactory_cli.client import BUSY, ApiError, Client
from orchestrator.domain import names
from orchestrator.domain.errors import BadRequest, FibfactoryError, Interrupted
from orchestrator.ports import StopSignal

if TYPE_CHECKING:
    from orchestrator.adapters.pulumi.engine import PulumiStacks

DEFAULT_REGION = "us-west-2"
"""The original script's."""

_WAIT_SECONDS = 20
"""How long the API may wait for the next event before it answers; its limit."""


class Missing(Exception):
    """There is no stack of that name, which is its only argument."""


class Factory(Protocol):
    """The way in which environments are made."""

    def create(self, env_id: str, image: str | None) -> str:
        """Make or update the environment; returns its URL."""

    def list(self) -> list[str]:
        """The names of all environments' stacks."""

    def destroy(self, env_id: str) -> dict[str, int]:
        """Remove the environment; returns how many resources there were by what was done to them. Raises Missing."""


@dataclass(frozen=True)
class InProcess:
    """With the engine in this process."""

    repository: str | None
    access_role_arn: str | None

    def create(self, env_id: str, image: str | None) -> str:
        from orchestrator.adapters.pulumi.engine import service_url
        from orchestrator.domain.environment import Spec
        from template_stack import Build, EnvironmentInputs

        if image is None and self.repository is None:
            raise click.UsageError(
                "No image is given. Give --image public.ecr.aws/ALIAS/NAME:TAG, or --repository public.ecr.aws/ALIAS/NAME "
                "to build Dockerfile.fib and push it there (this needs Docker)."
            )
        if image and not names.IMAGE.fullmatch(image):
            raise click.UsageError(f"The {names.IMAGE_HELP}.")
        if not (image or self.repository or "").startswith("public.ecr.aws/") and self.access_role_arn is None:
            raise click.UsageError("An image in a private repository needs an access role: give --access-role-arn.")
        inputs = EnvironmentInputs(
            app_name=names.app_name("fib-app", env_id),
            region=os.environ.get("AWS_REGION") or boto3.Session().region_name or DEFAULT_REGION,
            tags=names.tags(names.NO_PLATFORM, getpass.getuser(), env_id, 1),
            spec=Spec(image or ""),
            access_role_arn=self.access_role_arn,
            build=None if image or self.repository is None else Build(self.repository),
        )
        stack = names.stack_name(env_id)
        click.echo(f"Deploying the stack {stack} ...")
        return service_url(
            self._stacks().up(stack, inputs, new=True, refresh=True, progress=_progress, stop=StopSignal(math.inf))
        )

    def list(self) -> list[str]:
        return [name for name in self._stacks().names(StopSignal(math.inf)) if name.startswith(f"{names.PROJECT}-")]

    def destroy(self, env_id: str) -> dict[str, int]:
        stack = names.stack_name(env_id)
        report = self._stacks().destroy(stack, progress=_progress, stop=StopSignal(math.inf))
        if not report.found:
            raise Missing(stack)
        return {str(getattr(kind, "value", kind)): count for kind, count in report.changes.items()}

    def _stacks(self) -> PulumiStacks:
        from orchestrator.adapters.pulumi.process import PulumiProcess
        from orchestrator.adapters.pulumi.stacks import PulumiStacks, Target

        return PulumiStacks(Target(), partial(PulumiProcess, on_signal=_say_that_it_stops))


@dataclass(frozen=True)
class OverHttp:
    """With a platform's HTTP API."""

    client: Client

    def create(self, env_id: str, image: str | None) -> str:
        if image is None:
            raise click.UsageError("The platform runs images only. Give --image, or set FIBFACTORY_IMAGE.")
        click.echo(f"Asking for {names.stack_name(env_id)} ...")
        self.client.call("PUT", f"/environments/{env_id}", {"image": image}).checked()
        return str(self._followed_until(env_id, "ready")["url"])

    def list(self) -> list[str]:
        return [
            names.stack_name(record["id"]) + ("" if record["status"] == "ready" else f" ({record['status']})")
            for record in self.client.environments()
        ]

    def destroy(self, env_id: str) -> dict[str, int]:
        path = f"/environments/{env_id}"
        try:
            asked = self.client.call("DELETE", path).checked()
        except ApiError as error:
            if error.status == 404:
                raise Missing(names.stack_name(env_id)) from error
            raise
        if asked.status == 200:
            raise Missing(names.stack_name(env_id))
        self._followed_until(env_id, "destroyed")
        done = [event["message"] for event in self.client.events(env_id)[0] if event["kind"] == "progress"]
        return dict(Counter("delete" for line in done if line.endswith("delete done")))

    def _followed_until(self, env_id: str, status: str) -> Any:
        """The record at the end of what is under way. Raises ApiError if it has another status then."""
        cursor = self.client.events(env_id)[1]
        while True:
            record = self.client.call("GET", f"/environments/{env_id}").checked().body
            busy = record["status"] in BUSY
            events, cursor = self.client.events(env_id, cursor, wait=_WAIT_SECONDS if busy else 0)
            for event in events:
                _progress(f"{event['kind']}: {event['message']}" if event["message"] else event["kind"])
            if record["status"] == status:
                return record
            if not busy:
                raise ApiError(0, "failed", (record["error"] or {}).get("message", f"It is {record['status']}."))


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=__doc__)
@click.option("--env-id", help="The environment's id: 3 to 24 lower-case letters, digits and hyphens.")
@click.pass_context
def main(context: click.Context, env_id: str | None) -> None:
    context.obj = env_id


@main.command()
@click.option("--image", envvar="FIBFACTORY_IMAGE", help="The image to run, in ECR or public ECR.")
@click.option("--repository", envvar="FIBFACTORY_REPOSITORY", help="Build Dockerfile.fib and push it here instead.")
@click.option("--access-role-arn", envvar="FIBFACTORY_ACCESS_ROLE_ARN", help="For private ECR, without the API.")
@click.pass_obj
def create(env_id: str | None, image: str | None, repository: str | None, access_role_arn: str | None) -> None:
    """Make an environment, or update it."""
    env_id = _required(env_id)
    url = _factory(repository, access_role_arn).create(env_id, image)
    click.echo(f"Stack {names.stack_name(env_id)} created successfully")
    click.echo(f"Service URL: {url}")


@main.command(name="list")
def list_environments() -> None:
    """Show the active environments."""
    stacks = _factory().list()
    click.echo("Active environments:" if stacks else "No active environments found.")
    for stack in stacks:
        click.echo(f"- {stack}")


@main.command()
@click.pass_obj
def destroy(env_id: str | None) -> None:
    """Remove an environment completely."""
    env_id = _required(env_id)
    stack = names.stack_name(env_id)
    click.echo(f"Destroying stack {stack}")
    changes = _factory().destroy(env_id)
    click.echo(f"Resources destroyed: {changes}")
    click.echo(f"Stack {stack} destroyed successfully")
    click.echo(f"Stack {stack} removed completely")


def _factory(repository: str | None = None, access_role_arn: str | None = None) -> Factory:
    url = os.environ.get("FIBFACTORY_API_URL")
    return OverHttp(Client(url)) if url else InProcess(repository, access_role_arn)


def _required(env_id: str | None) -> str:
    if env_id is None:
        raise click.UsageError(
            "No environment is given. Say which environment: python fibfactory.py --env-id test1 COMMAND"
        )
    try:
        return names.check_id(env_id)
    except BadRequest as error:
        raise click.UsageError(error.message) from error


def _progress(line: str) -> None:
    click.echo(f"  {line}")


def _say_that_it_stops() -> None:
    click.echo("Stopping: what is under way is finished first. Interrupt once more to stop at once.", err=True)


def run() -> int:
    """Run the command; returns its exit code. A failure that a person can do something about is told in one sentence."""
    # A job in CI is ended by SIGTERM: it ends the command in the same order as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(standalone_mode=False)
    except (click.Abort, Interrupted):
        over_http = "The platform continues with the request; `list` shows the environment, `destroy` removes it."
        in_process = "What was made so far is recorded in the state; run the command again, or `destroy`."
        click.echo(f"Interrupted. {over_http if os.environ.get('FIBFACTORY_API_URL') else in_process}", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Missing as error:
        click.echo(f"There is no stack {error}. `list` shows the existing ones.", err=True)
        return 3
    except ModuleNotFoundError as error:
        click.echo(f"This Python has no module {error.name}. Use .venv/bin/python, which `make setup` makes.", err=True)
        return 1
    except (ApiError, FibfactoryError) as error:
        click.echo(f"It failed: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())

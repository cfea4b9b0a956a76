"""`make up`: a local cloud with the platform on it, left running, and `.local/env` to reach it.

Rule: a second run brings the platform to the current code; an interrupted or failed one leaves exactly what was running
before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from localcloud import cloud_handle
from localcloud.errors import CloudError, NotReady
from localcloud.processes import tail
from localcloud.running import RunningCloud
from localcloud.settings import DEFAULT_BASE_PORT, ROOT
from tools.local_state import LocalState, state_option
from tools.platform_on_localcloud import DeployFailed, Platform, clean_environment, deploy

_START_SECONDS = 60.0


@click.command()
@click.option(
    "--port",
    envvar="FIBFACTORY_PORT",
    type=click.IntRange(1024, 65533),
    default=DEFAULT_BASE_PORT,
    show_default=True,
    help="First of the cloud's three ports in a row.",
)
@state_option
def main(port: int, state: LocalState) -> None:
    """Start the local cloud, deploy the platform on it and say how to use it."""
    try:
        platform = bring_up(state, port)
    except (CloudError, DeployFailed) as error:
        click.echo(f"\n{error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        sys.exit(130)
    click.echo(f"\nThe platform's API: {platform.outputs['api_url']}\n")
    click.echo(f"Go on with:\n  . {_shown(state.env)}\n  python fibfactory.py list\n\nStop it with: make down")


def bring_up(state: LocalState, port: int) -> Platform:
    """Start the cloud unless it runs, deploy the platform, write the file to source."""
    state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cloud = cloud_handle.find(state.cloud)
    if cloud:
        click.echo(f"The local cloud is already running at {cloud.endpoint_url}.")
        return _deployed(state, cloud)
    supervisor = _start_supervisor(state, port)
    try:
        return _deployed(state, _wait_for(state, supervisor))
    except BaseException:
        click.echo("Stopping the local cloud again.", err=True)
        supervisor.terminate()
        supervisor.wait()
        raise


def _start_supervisor(state: LocalState, port: int) -> subprocess.Popen[bytes]:
    click.echo("Starting the local cloud ", nl=False)
    with state.log.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "localcloud", "--folder", str(state.cloud), "--base-port", str(port)],
            cwd=ROOT,
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for(state: LocalState, supervisor: subprocess.Popen[bytes]) -> RunningCloud:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        cloud = cloud_handle.find(state.cloud)
        if cloud:
            click.echo(f" at {cloud.endpoint_url}")
            return cloud
        if supervisor.poll() is not None:
            click.echo()
            raise NotReady(tail(state.log) or f"The local cloud ended with code {supervisor.returncode}.")
        click.echo(".", nl=False)
        time.sleep(0.2)
    raise NotReady(
        f"The local cloud was not ready after {_START_SECONDS:.0f} s. Its log, {_shown(state.log)}, ends:\n"
        f"{tail(state.log)}"
    )


def _deployed(state: LocalState, cloud: RunningCloud) -> Platform:
    platform = deploy(cloud, click.echo)
    state.write_env(platform.environment, cloud.path_folders())
    return platform


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    main()

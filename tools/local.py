"""`make up` and `make down`: a local cloud with the platform on it, left running, and `.local/` to reach it.

Rule: a second `up` brings the platform to the current code; an interrupted or failed one leaves exactly what was running before.
Everything in `.local/` is readable by this user only and can be removed at any time; the state of a running cloud is in the
cloud's own folder.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from localcloud import cloud_handle
from localcloud.errors import CloudError, NotReady
from localcloud.processes import tail
from localcloud.running import RunningCloud, write_private
from localcloud.settings import DEFAULT_BASE_PORT, ROOT
from tools.platform_on_localcloud import DeployFailed, Platform, clean_environment, deploy

# Set in a user's shell, these would be used beside the cloud's and break the signature or the look-up of a profile.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
_START_SECONDS = 60.0


@dataclass(frozen=True)
class LocalState:
    """The paths under `.local/`."""

    folder: Path = ROOT / ".local"

    @property
    def cloud(self) -> Path:
        """The local cloud's own folder."""
        return self.folder / "cloud"

    @property
    def log(self) -> Path:
        """The output of the cloud's supervisor."""
        return self.folder / "cloud.log"

    @property
    def env(self) -> Path:
        """The file for a shell to source."""
        return self.folder / "env"

    def write_env(self, environment: Mapping[str, str], path_folders: list[str]) -> None:
        """Write the file to source, readable by this user only; replaced as a whole."""
        write_private(self.env, as_shell(environment, path_folders))


_folder = click.option(
    "--folder",
    "state",
    metavar="DIR",
    type=lambda folder: LocalState(Path(folder).resolve()),
    default=LocalState.folder,
    show_default=True,
    help="The folder of the state.",
)


@click.group()
def main() -> None:
    """A local cloud with the platform on it, left running."""


@main.command()
@click.option(
    "--port",
    envvar="FIBFACTORY_PORT",
    type=click.IntRange(1024, 65533),
    default=DEFAULT_BASE_PORT,
    show_default=True,
    help="First of the cloud's three ports in a row.",
)
@_folder
def up(port: int, state: LocalState) -> None:
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


@main.command()
@_folder
def down(state: LocalState) -> None:
    """Stop the local cloud and remove the state. It also succeeds when no cloud is running."""
    try:
        cloud = cloud_handle.find(state.cloud)
        if cloud:
            cloud_handle.stop(cloud)
    except CloudError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    shutil.rmtree(state.folder, ignore_errors=True)
    click.echo("The local cloud is stopped." if cloud else "No local cloud was running.")


def bring_up(state: LocalState, port: int) -> Platform:
    """Start the cloud unless it runs, deploy the platform, write the file to source."""
    state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cloud = cloud_handle.find(state.cloud)
    if cloud:
        click.echo(f"The local cloud is already running at {cloud.endpoint_url}.")
        return _deployed(state, cloud)
    supervisor = None
    try:
        with ctrl_c_held_back():
            supervisor = _start_supervisor(state, port)
        return _deployed(state, _wait_for(state, supervisor))
    except BaseException:
        if supervisor:
            click.echo("Stopping the local cloud again.", err=True)
            supervisor.terminate()
            supervisor.wait()
        raise


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Have a Ctrl-C in the block take effect at its end, where what the block started is known and can be stopped."""
    held_back: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held_back.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held_back:
        signal.raise_signal(signal.SIGINT)


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


def as_shell(environment: Mapping[str, str], path_folders: list[str]) -> str:
    """`export` lines for a POSIX shell. PATH is put before the shell's own instead of replacing it."""
    lines = ["# Written by `make up`; source it: . .local/env", f"unset {' '.join(_IN_THE_WAY)}"]
    # A service's own endpoint would win over the cloud's.
    lines.append("unset $(env | sed -n 's/^\\(AWS_ENDPOINT_URL[A-Z0-9_]*\\)=.*/\\1/p') AWS_ENDPOINT_URL")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items()) if name != "PATH"]
    lines.append(f'export PATH={shlex.quote(os.pathsep.join(path_folders))}:"$PATH"')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

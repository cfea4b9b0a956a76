"""`python -m localcloud`: run a local cloud in the foreground. Its folder exists exactly as long as it runs."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import click

from localcloud import cloud_handle, running
from localcloud.cloud import LocalCloud
from localcloud.errors import CloudError
from localcloud.settings import Ports

_CHECK_SECONDS = 0.5


@click.command()
@click.option(
    "--folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The cloud's own folder; it is removed when the cloud stops.",
)
@click.option(
    "--base-port", type=click.IntRange(1024, 65533), help="First of three ports in a row; without it, free ports."
)
def main(folder: Path, base_port: int | None) -> None:
    """Run AWS on this machine, on loopback only, until Ctrl-C.

    Prints one line of JSON when it is ready; addresses and keys are in FOLDER/cloud.json.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        cloud_handle.remove_dead(folder)
        local_cloud = LocalCloud(folder=folder, ports=Ports.from_base(base_port) if base_port else None)
        with local_cloud as cloud:
            click.echo(
                json.dumps(
                    {"ready": True, "endpoint_url": cloud.endpoint_url, "file": str(cloud.folder / running.FILE)}
                )
            )
            while True:
                time.sleep(_CHECK_SECONDS)
                local_cloud.check()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except CloudError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(prog_name="python -m localcloud")

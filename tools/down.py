"""`make down`: stops the cloud of `make up` and removes `.local/`. It also succeeds when no cloud is running."""

from __future__ import annotations

import shutil
import sys

import click

from localcloud import cloud_handle
from localcloud.errors import CloudError
from tools.local_state import LocalState, state_option


@click.command()
@state_option
def main(state: LocalState) -> None:
    """Stop the local cloud."""
    try:
        cloud = cloud_handle.find(state.cloud)
        if cloud:
            cloud_handle.stop(cloud)
    except CloudError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    shutil.rmtree(state.folder, ignore_errors=True)
    click.echo("The local cloud is stopped." if cloud else "No local cloud was running.")


if __name__ == "__main__":
    main()

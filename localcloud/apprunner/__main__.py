"""`python -m localcloud.apprunner`: the emulator as a process of its own, until SIGTERM or Ctrl-C.

Rule: it prints `App Runner emulator ready at http://127.0.0.1:PORT` once it answers, and leaves no service running.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from localcloud.apprunner.images import ImagesFileError, load_images
from localcloud.apprunner.server import serve
from localcloud.apprunner.settings import DEFAULT_IMAGES, EmulatorSettings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
_FOLDER = click.Path(file_okay=False, path_type=Path, resolve_path=True)


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port on loopback; 0 takes a free one."
)
@click.option("--folder", type=_FOLDER, required=True, help="The folder for the services' logs.")
@click.option(
    "--images", type=_FILE, default=DEFAULT_IMAGES, show_default=True, help="Which command stands for which image."
)
@click.option("--iam", "iam_url", help="URL of the IAM endpoint that checks callers; without it everything is allowed.")
@click.option("--registry", help="ADDRESS:PORT of private images' registry; without it all services are processes.")
def main(**options: Any) -> None:
    """Run the App Runner emulator."""
    stopped = threading.Event()
    # Set before anything is started, so that an early signal leaves nothing behind either.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        load_images(options["images"])
        settings = EmulatorSettings(**options)
    except (ImagesFileError, ValidationError) as error:
        raise click.ClickException(str(error)) from error
    try:
        with serve(settings) as emulator:
            click.echo(f"App Runner emulator ready at {emulator.url}")
            stopped.wait()
    except OSError as error:
        advice = "Stop the program that listens there, or choose another port."
        raise click.ClickException(f"Cannot listen on port {settings.port}: {error}. {advice}") from error


if __name__ == "__main__":
    main()

"""`python -m localcloud.apprunner`: the emulator as a process of its own, until SIGTERM or Ctrl-C.

Rule: the line `App Runner emulator ready at http://127.0.0.1:PORT` is printed once it answers, and it ends with no
service left running.
"""

from __future__ import annotations

import signal
import threading
import tomllib
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from localcloud.apprunner.images import ImagesFileError, load_images
from localcloud.apprunner.server import serve
from localcloud.apprunner.settings import DEFAULT_IMAGES, EmulatorSettings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port on loopback; 0 takes a free one."
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where the services' logs go."
)
@click.option(
    "--images", type=_FILE, default=DEFAULT_IMAGES, show_default=True, help="Which command stands for which image."
)
@click.option("--iam", "iam_url", help="The door to ask whether a caller may; without it everybody may do everything.")
@click.option("--registry", help="ADDRESS:PORT of private images' registry; without it all services are processes.")
@click.option("--settings", "settings_file", type=_FILE, help="TOML file with more settings; the options above win.")
def main(
    port: int, folder: Path, images: Path, iam_url: str | None, registry: str | None, settings_file: Path | None
) -> None:
    """Run the App Runner emulator."""
    stopped = threading.Event()
    # Set before anything is started, so that an early signal leaves nothing behind either.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    fixed = {"port": port, "folder": folder.resolve(), "images": images.resolve()}
    chosen = {"iam_url": iam_url, "registry": registry}
    settings = _settings(settings_file, fixed | {name: value for name, value in chosen.items() if value})
    try:
        with serve(settings) as emulator:
            click.echo(f"App Runner emulator ready at {emulator.url}")
            stopped.wait()
    except OSError as error:
        advice = "Stop who listens there, or choose another port."
        raise click.ClickException(f"Cannot listen on port {port}: {error}. {advice}") from error


def _settings(file: Path | None, options: dict[str, Any]) -> EmulatorSettings:
    try:
        load_images(options["images"])
        given = tomllib.loads(file.read_text()) if file else {}
        return EmulatorSettings.model_validate(given | options)
    except (ImagesFileError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

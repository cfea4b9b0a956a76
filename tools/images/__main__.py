"""`make images`: build both images, then say their sizes and what fills them."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from localcloud.docker_cli import docker
from tools.commands import ToolFailure
from tools.images.build import build

_SHOWN_PARTS = 12
_SECONDS = 600.0
_PROGRAM = """
import collections, json, os
sizes = collections.Counter()
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    for file in files:
        path = os.path.join(folder, file)
        depth = 4 if path.startswith("/opt/") else 3 if path.startswith("/var/task") else 0
        part = "/".join(path.split("/")[:depth]) if depth else "the base"
        sizes[part] += 0 if os.path.islink(path) else os.path.getsize(path)
print(json.dumps(sizes.most_common()))
"""

console = Console(highlight=False, soft_wrap=True)


@click.command()
@click.option(
    "--machine-cli", is_flag=True, help="This machine's Pulumi CLI, and no AWS plug-in: for tests, not for AWS."
)
@click.option("--base", metavar="IMAGE", help="The base of both: a Debian with Python 3.11 as `python`.")
@click.option("--tag", default="latest", show_default=True)
def main(machine_cli: bool, base: str | None, tag: str) -> None:
    """Build fibfactory/orchestrator and fibfactory/fibservice."""
    try:
        images = build(click.echo, machine_cli=machine_cli, tag=tag, wanted_base=base)
    except ToolFailure as failure:
        click.echo("\n".join(filter(None, [failure.output, f"images: {failure}"])), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        sys.exit(130)
    for image in images:
        console.print(table(image))


def table(image: str) -> Table:
    """An image's biggest parts, the rest of them and their sum."""
    found = parts(image)
    shown, rest = found[:_SHOWN_PARTS], found[_SHOWN_PARTS:]
    table = Table(title=image, title_justify="left")
    table.add_column("part")
    table.add_column("MB", justify="right")
    for name, megabytes in [*shown, (f"{len(rest)} smaller parts", _sum(rest))]:
        table.add_row(name, f"{megabytes:.1f}")
    table.add_section()
    table.add_row("all", f"{_sum(found):.1f}")
    return table


def parts(image: str) -> list[tuple[str, float]]:
    """What fills an image, measured inside a container of it: all its parts with their MB (a million bytes), the biggest first.

    Together they are all files of the image. Raises DockerFailed.
    """
    options = ("--rm", "--network", "none", "--user", "0", "--entrypoint", "python")
    answer = docker("run", *options, image, "-c", _PROGRAM, seconds=_SECONDS)
    return [(name, size / 1e6) for name, size in json.loads(answer)]


def _sum(found: list[tuple[str, float]]) -> float:
    return sum(megabytes for _, megabytes in found)


if __name__ == "__main__":
    main()

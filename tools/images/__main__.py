"""`make images`: build both images, then say their sizes and what fills them."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from tools.commands import ToolFailure
from tools.images import sizes
from tools.images.build import Built, build

_SHOWN_PARTS = 12
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


def table(image: Built) -> Table:
    """An image's biggest parts, the rest of them and their sum."""
    found = sizes.parts(image.tag)
    shown, rest = found[:_SHOWN_PARTS], found[_SHOWN_PARTS:]
    table = Table(title=f"{image.tag}, built in {image.seconds:.0f} s", title_justify="left")
    table.add_column("part")
    table.add_column("MB", justify="right")
    for part in shown:
        table.add_row(part.name, f"{part.megabytes:.1f}")
    table.add_row(f"{len(rest)} smaller parts", f"{sum(part.megabytes for part in rest):.1f}")
    table.add_section()
    table.add_row("all", f"{sum(part.megabytes for part in found):.1f}")
    return table


if __name__ == "__main__":
    main()

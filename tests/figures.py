"""The figures of the long tests: how many examples they run, tables for people, and JSON for machines.

`make chaos` sets CHAOS_EXAMPLES and CHAOS_OUT.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

_WIDE = 130

console = Console(highlight=False, soft_wrap=True)
json_option = click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file too."
)


def wanted_examples(short: int) -> int:
    """CHAOS_EXAMPLES, or the number for a short run."""
    return int(os.environ.get("CHAOS_EXAMPLES", short))


def write_figures(run: str, figures: Mapping[str, Any]) -> None:
    """Print the figures, and add them as one line of JSON to the file that CHAOS_OUT names."""
    line = json.dumps({"run": run, **figures})
    print(line)
    if file := os.environ.get("CHAOS_OUT"):
        with Path(file).open("a") as output:
            output.write(f"{line}\n")


def write_json(file: Path | None, figures: Any) -> None:
    """Write the figures as the whole content of the file, if there is to be one."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def show(table: Table) -> None:
    """Print a table that may be wider than the terminal."""
    Console(width=max(console.width, _WIDE), highlight=False).print(table)


def show_rows(title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print named rows of figures, with the columns of the first one."""
    columns = list(next(iter(rows.values()), {}))
    table = Table(title=title, title_justify="left")
    for column in ("", *columns):
        table.add_column(column.replace("_", " "), justify="right" if column else "left", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    show(table)

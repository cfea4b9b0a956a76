"""`python -m tests.safeguards [NAME …]`: takes each safeguard out of a copy of the code and shows what notices."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from tests.figures import json_option, show, write_json
from tests.safeguards.check import CannotCheck, check, mutants


@click.command(help="Take out each safeguard, or those with a NAME in their name, and show that its checks notice.")
@json_option
@click.option("--jobs", default=2, show_default=True, help="Copies of the code at the same time.")
@click.argument("names", nargs=-1)
def main(file: Path | None, jobs: int, names: tuple[str, ...]) -> None:
    chosen = [each for each in mutants() if not names or any(name in each.safeguard for name in names)]
    if not chosen:
        raise click.UsageError(f"No safeguard has {' or '.join(names)} in its name.")
    with tempfile.TemporaryDirectory(prefix="fibfactory-safeguards-") as folder:
        try:
            results = check(chosen, Path(folder), jobs)
        except CannotCheck as error:
            raise click.ClickException(str(error)) from error
    table = Table("safeguard taken out", "noticed by", "s", title="Each safeguard, taken out", title_justify="left")
    for result in results:
        missed = [f"[red]not by {each}[/]" for each in result.missed_by]
        table.add_row(result.safeguard, "\n".join([*result.noticed_by, *missed]), f"{result.seconds:.1f}")
    show(table)
    noticed = sum(result.noticed for result in results)
    figures = {"safeguards": len(results), "noticed": noticed, "results": [asdict(result) for result in results]}
    write_json(file, figures)
    sys.exit(0 if noticed == len(results) else 1)


if __name__ == "__main__":
    main()

"""The command: `python -m bootstrap deploy | destroy | outputs`.

The rule: what is for people goes to stderr, what is for programs to stdout. It ends with 0 when all is as asked, 1 when
not, 2 when the question was wrong, 130 when it was stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import boto3
import click
from rich.console import Console
from rich.text import Text

from bootstrap import commands
from bootstrap.errors import BootstrapError, Interrupted, SettingsError, explained
from bootstrap.settings import load

_PLATFORM = click.option("--platform", help="The platform's id.  [default: fibfactory]")
_REGION = click.option("--region", help="Its region.  [default: AWS_REGION, else that of your AWS profile]")
_YES = click.option("--yes", is_flag=True, help="Neither preview nor ask.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the outputs as JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def bootstrap() -> None:
    """Deploy fibfactory's platform into your AWS account, or take it down."""


@bootstrap.command()
@_PLATFORM
@_REGION
@click.option("--code", type=click.Choice(["image", "archive"]), help="What the functions run from.  [default: image]")
@click.option("--image-uri", help="The orchestrator's image in ECR, with --code image.")
@click.option("--prefix", help="What the environments' names begin with.  [default: fib-app]")
@click.option(
    "--operator",
    "operators",
    multiple=True,
    metavar="ARN",
    help="A role or user with rights over all environments; may be repeated.",
)
@click.option("--default-ttl", help="How long an environment lives that does not say.  [default: 12h]")
@click.option("--max-lifetime", help="How long one may live at most.  [default: 7d]")
@click.option("--nightly-schedule", help="When the deep sweep runs.  [default: cron(0 3 * * ? *), UTC]")
@click.option("--light-schedule", help="When the light sweep runs.  [default: rate(5 minutes)]")
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="A TOML file of any of these and further settings; options win.",
)
@_YES
@_JSON
def deploy(file: Path | None, yes: bool, as_json: bool, operators: tuple[str, ...], **options: Any) -> None:
    """Make the platform, or change it to these settings. It can be run again at any time."""
    settings = load(file, {**options, "operators": operators or None}, {"region": _ambient_region()})
    _print(commands.deploy(settings, _console(), None if yes else _confirm), as_json)


@bootstrap.command()
@_PLATFORM
@_REGION
@_YES
def destroy(platform: str | None, region: str | None, yes: bool) -> None:
    """Take the platform down; refused while it has environments. The state bucket and its key stay."""
    commands.destroy(platform or "fibfactory", _region(region), _console(), None if yes else _confirm)


@bootstrap.command()
@_PLATFORM
@_REGION
@_JSON
def outputs(platform: str | None, region: str | None, as_json: bool) -> None:
    """Print what the platform says about itself: its API's URL, names, and where its state is."""
    _print(commands.outputs(platform or "fibfactory", _region(region), _console()), as_json)


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def _ambient_region() -> str | None:
    # boto3 itself reads AWS_DEFAULT_REGION and the profile only.
    with explained("read your AWS configuration"):
        return os.environ.get("AWS_REGION") or boto3.Session().region_name


def _region(chosen: str | None) -> str:
    if region := chosen or _ambient_region():
        return region
    raise SettingsError("No region is chosen.", "Give --region, or set AWS_REGION.")


def _confirm(question: str) -> None:
    if not click.confirm(question, err=True):
        raise Interrupted("Not done.", "Nothing more was changed.")


def _print(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values), default=0)
    for name, value in values.items():
        click.echo(f"{name:<{width}}  {value}")


def main() -> None:
    """Run the command and end the process with its code."""
    # What ends a job in CI is a SIGTERM: it gets the same orderly way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(bootstrap.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        _say(Interrupted("Stopped, or nobody there to answer.", "Give --yes where nobody can."))
        sys.exit(130)
    except BootstrapError as error:
        _say(error)
        sys.exit(130 if isinstance(error, Interrupted) else 2 if isinstance(error, SettingsError) else 1)


def _say(error: BootstrapError) -> None:
    _console().print(
        Text.assemble(("error ", "bold red"), error.message, f"\n      {error.advice}" if error.advice else "")
    )


if __name__ == "__main__":
    main()

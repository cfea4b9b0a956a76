"""The command: `python -m bootstrap deploy | upgrade | destroy | outputs`.

The rule: messages for people go to stderr, outputs for programs to stdout. Exit codes: 0 done, 1 failed, 2 wrong options or
settings, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import boto3
import click
from rich.console import Console
from rich.text import Text

from bootstrap.commands import deploy as deploying
from bootstrap.commands import outputs as reading
from bootstrap.commands import teardown
from bootstrap.commands import upgrade as upgrading
from bootstrap.commands.context import Context
from bootstrap.errors import BootstrapError, Interrupted, SettingsError, explained
from bootstrap.settings import Settings, load, read_file

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = {
    "--platform": "platform",
    "--region": "region",
    "--code": "code",
    "--image-uri": "image_uri",
    "--prefix": "prefix",
    "--operator": "operators",
    "--image-registry": "image_registries",
    "--default-ttl": "default_ttl",
    "--max-lifetime": "max_lifetime",
    "--nightly-schedule": "nightly_schedule",
    "--light-schedule": "light_schedule",
}
"""The settings that have an option. Options for lists have the singular as their name and can be repeated."""


def _option(option: str) -> Callable[[F], F]:
    setting = _SETTINGS[option]
    field = Settings.model_fields[setting]
    default = "AWS_REGION, or your AWS profile's" if setting == "region" else field.default
    repeated = not option.endswith(setting.replace("_", "-"))
    return click.option(
        option,
        setting,
        multiple=repeated,
        type=click.Choice(get_args(field.annotation)) if get_origin(field.annotation) is Literal else str,
        help=f"{field.description}{'  Can be repeated.' * repeated}" + (f"  [default: {default}]" if default else ""),
    )


_PLATFORM, _REGION = _option("--platform"), _option("--region")
_YES = click.option("--yes", is_flag=True, help="Do everything without questions.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the outputs as JSON.")
_FILE = click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="A TOML file with these and further settings (docs/aws.md); options take precedence.",
)


def _settings(command: F) -> F:
    """Adds the options for settings, in their order above."""
    for option in (_FILE, *map(_option, reversed(_SETTINGS))):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def bootstrap() -> None:
    """Deploy fibfactory's platform into your AWS account, change it, or take it down."""


@bootstrap.command()
@_settings
@_YES
@_JSON
def deploy(file: Path | None, yes: bool, as_json: bool, **options: Any) -> None:
    """Make the platform, or change it to these settings. It can be run again at any time."""
    chosen = {**read_file(file), **_given(options)}
    settings = load({"region": _region(chosen.get("region"))}, chosen)
    _print(deploying.deploy(_context(settings.platform, settings.region, yes), settings), as_json)


@bootstrap.command()
@_settings
@click.option(
    "--unset", multiple=True, metavar="SETTING", help="Set this setting back to its default; can be repeated."
)
@_YES
@_JSON
def upgrade(file: Path | None, unset: tuple[str, ...], yes: bool, as_json: bool, **options: Any) -> None:
    """Bring a platform to this version of the code. It keeps its settings, except for those that are given here."""
    chosen = {**read_file(file), **_given(options)}
    context = _context(chosen.get("platform"), chosen.get("region"), yes)
    _print(upgrading.upgrade(context, chosen, unset), as_json)


@bootstrap.command()
@_PLATFORM
@_REGION
@click.option("--environments", is_flag=True, help="Destroy its environments first, including protected ones.")
@click.option(
    "--purge", is_flag=True, help="Also remove what is kept otherwise: state bucket, key, environments' logs."
)
@click.option(
    "--prefix", help="What the environments' names began with, to purge a platform that is destroyed already."
)
@_YES
def destroy(
    platform: str | None, region: str | None, environments: bool, purge: bool, prefix: str | None, yes: bool
) -> None:
    """Take the platform down, unless it has environments. The state bucket and its key are kept."""
    context = _context(platform, region, yes)
    teardown.destroy(context, with_environments=environments, and_purge=purge, prefix=prefix)


@bootstrap.command()
@_PLATFORM
@_REGION
@_JSON
def outputs(platform: str | None, region: str | None, as_json: bool) -> None:
    """Print the platform's API URL, its names, and where its state is kept."""
    _print(reading.outputs(_context(platform, region, yes=True)), as_json)


def _context(platform: Any, region: Any, yes: bool) -> Context:
    return Context(str(platform or "fibfactory"), _region(region), _console(), None if yes else _confirm)


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def _ambient_region() -> str | None:
    # boto3 itself reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION.
    with explained("read your AWS configuration"):
        return os.environ.get("AWS_REGION") or boto3.Session().region_name


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given. One that can be repeated is an empty tuple if it was not given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def _region(chosen: Any) -> str:
    if region := chosen or _ambient_region():
        return str(region)
    raise SettingsError("No region is chosen.", "Give --region, or set AWS_REGION.")


def _confirm(question: str) -> None:
    if not click.confirm(question, err=True):
        raise Interrupted("Not done, because the answer was no.", "Nothing more was changed.")


def _print(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values), default=0)
    for name, value in values.items():
        click.echo(f"{name:<{width}}  {value}")


_STOPPED = Interrupted("Stopped.", "What was done is kept; run the same command again to continue.")
_NO_ANSWER = Interrupted(
    "A question got no answer.", "Without a terminal to answer on, as in CI, give --yes. Nothing more was changed."
)


def main() -> None:
    """Run the command and end the process with its code."""
    # A job in CI is ended by SIGTERM, which has the same effect as Ctrl-C here. SIGINT is set, too, because it is ignored in what
    # a script starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(bootstrap.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort as stop:
        _say(_STOPPED if isinstance(stop.__cause__, KeyboardInterrupt) else _NO_ANSWER)
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

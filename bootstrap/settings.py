"""What an operator can choose about a platform.

The rule: all settings are checked here, together, before anything is made; the rest of the package relies on that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bootstrap.errors import SettingsError
from bootstrap.setting_types import (
    Audience,
    Email,
    ImageUri,
    LogRetention,
    PlatformId,
    PolicyArn,
    Prefix,
    Region,
    RoleArn,
    Schedule,
    Ttl,
    time_between_runs,
)
from orchestrator.access_settings import AccessSettings, Registry
from orchestrator.domain.ttl import parse_ttl

# Lambda allows 4 KB for a function's environment; everything else in it takes less than a third.
_MAX_LISTS_LENGTH = 2800
_LONGEST_BETWEEN_SWEEPS = {"light_schedule": timedelta(days=1), "nightly_schedule": timedelta(days=7)}


class Settings(AccessSettings):
    """A platform's settings. Times in seconds, sizes in MB unless a name says otherwise."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    platform: PlatformId = "fibfactory"
    """The platform's id: part of every name, and a tag."""
    region: Region
    """Where the platform and its environments are; it can't be changed later."""

    code: Literal["image", "archive"] = "image"
    """What the functions run from: a container image, or a zip of fibfactory's code only."""
    image_uri: ImageUri | None = None
    """The orchestrator's image in ECR; by default a deploy with code `image` builds and pushes it."""
    build_arguments: dict[str, str] = Field(default_factory=dict)
    """Build arguments of the images; do not put secrets there."""
    build_sample: bool | None = None
    """Whether the sample application's image is built; by default if the orchestrator's is."""

    prefix: Prefix = "fib-app"
    """What the environments' names begin with."""
    image_registries: tuple[Registry, ...] | None = Field(default=None, min_length=1)
    """What environments' images must begin with; by default this account's registry."""
    instance_role_arn: RoleArn | None = None
    """The role under which environments run, to read the secrets below `secrets_prefix`."""

    github_audience: Audience | None = None
    """The audience of GitHub's tokens; adds a second API for the workflows in `github`."""
    default_ttl: Ttl = "12h"
    """How long an environment lives if its request does not say."""
    max_lifetime: Ttl = "7d"
    """How long an environment may live at most, from its creation."""

    nightly_schedule: Schedule = "cron(0 3 * * ? *)"
    """When the deep sweep runs, in UTC, which also looks for orphans."""
    light_schedule: Schedule = "rate(5 minutes)"
    """When the light sweep runs, which does what is due."""

    # API Gateway gives up after 30 s, so a later answer would be lost.
    api_timeout: int = Field(default=29, ge=5, le=29)
    api_memory: int = Field(default=512, ge=256, le=10240)
    worker_timeout: int = Field(default=900, ge=120, le=900)
    # The AWS plug-in alone takes 300 to 430 MB.
    worker_memory: int = Field(default=2048, ge=1024, le=10240)
    worker_storage: int = Field(default=2048, ge=512, le=10240)
    """The size of the worker's /tmp."""
    api_concurrency: int | None = Field(default=None, ge=1)
    """The API function's reserved concurrency."""
    # A worker can start the next one before it has ended: with a concurrency of 1 both would wait for retries.
    worker_concurrency: int | None = Field(default=None, ge=2)
    """The worker function's reserved concurrency."""
    worker_policies: tuple[PolicyArn, ...] = Field(default=(), max_length=10)
    """Managed policies for the worker, as a changed template may need them."""
    permissions_boundary: PolicyArn | None = None
    """The permissions boundary of every role of the platform."""
    alarm_emails: tuple[Email, ...] = ()
    """Who gets an email when an alarm goes off."""
    log_retention_days: LogRetention = 14
    requests_per_second: int = Field(default=50, ge=1, le=10000)
    """Above it API Gateway answers 429; bursts may be twice as high."""
    protect_table: bool | None = None
    """Deletion protection of the table; by default on with code `image`, off with `archive`."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if problems := [*self._contradictions(), *self._rare_sweeps(), *self._places_elsewhere(), *self._long_lists()]:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.code == "archive" and self.image_uri is not None:
            yield "image_uri has no effect with code `archive`: leave out --image-uri or --code archive"
        if self.build_arguments and not (self.builds_orchestrator or self.builds_sample):
            yield "build_arguments have no effect where no image is built: leave them out"
        default, longest = (parse_ttl(text, allow_never=False) for text in (self.default_ttl, self.max_lifetime))
        if default and longest and default > longest:
            yield f"default_ttl {self.default_ttl} is longer than max_lifetime {self.max_lifetime}"
        if (self.secrets_prefix is None) != (self.instance_role_arn is None):
            yield "secrets_prefix and instance_role_arn go together: environments read the secrets with that role"
        if bool(self.github) != (self.github_audience is not None):
            yield "github and github_audience go together: the workflows, and the audience that their tokens must have"

    def _rare_sweeps(self) -> Iterator[str]:
        for name, longest in _LONGEST_BETWEEN_SWEEPS.items():
            interval = time_between_runs(getattr(self, name))
            if interval and interval > longest:
                yield (
                    f"{name} must run every {longest.days} day{'s'[: longest.days > 1]} at least, "
                    "or no alarm can notice that it does not run"
                )

    def _places_elsewhere(self) -> Iterator[str]:
        if self.secrets_prefix is not None and self.secrets_prefix.split(":")[3] != self.region:
            yield f"secrets_prefix must be in {self.region}: App Runner reads secrets of its own region only"
        if self.image_uri is not None and self.image_uri.split(".")[3] != self.region:
            yield f"image_uri must be in {self.region}: Lambda takes images of its own region only"

    def _long_lists(self) -> Iterator[str]:
        lists = self.model_dump_json(
            include={"operators", "groups", "github", "image_registries", "secrets_prefix"}, exclude_none=True
        )
        if len(lists) > _MAX_LISTS_LENGTH:
            yield (
                f"operators, groups, github and image_registries take {len(lists)} characters, and a function's "
                f"environment has room for {_MAX_LISTS_LENGTH}: shorten them, for instance by naming roles instead of people"
            )

    @property
    def builds_orchestrator(self) -> bool:
        """Whether a deploy builds and pushes the orchestrator's image."""
        return self.code == "image" and self.image_uri is None

    @property
    def builds_sample(self) -> bool:
        """Whether a deploy builds and pushes the sample application's image."""
        return self.builds_orchestrator if self.build_sample is None else self.build_sample

    @property
    def table_protected(self) -> bool:
        """Whether DynamoDB refuses to delete the table."""
        return self.code == "image" if self.protect_table is None else self.protect_table


def load(*sources: Mapping[str, object]) -> Settings:
    """The settings from these sources, of which later ones take precedence; None counts as not given.

    Raises SettingsError, which names each wrong setting.
    """
    chosen = {name: value for source in sources for name, value in source.items() if value is not None}
    try:
        return Settings.model_validate(chosen)
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        raise SettingsError(f"{problems}.", "Change that and run it again; nothing was changed.") from error


def read_file(file: Path | None) -> dict[str, object]:
    """The content of a settings file, unchecked; empty without a file. Raises SettingsError when it can't be read."""
    try:
        return tomllib.loads(file.read_text("utf-8")) if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {file} can't be read: {error}.", "Correct the path or the file; it must be TOML."
        ) from error


def _problem(error: ErrorDetails) -> str:
    setting = ".".join(str(part) for part in error["loc"] if part != "[key]")
    message = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"There is no setting {setting}"
        case "missing":
            return f"The setting {setting} is missing"
        case "value_error" if message.startswith("must "):
            return f"The setting {setting} {message}"
    return f"The setting {setting}: {message}" if setting else message

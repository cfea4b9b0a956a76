"""What an operator may choose about a platform.

The rule: everything is checked here, together, before anything is made; the rest of the package trusts it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bootstrap.errors import SettingsError
from bootstrap.setting_types import (
    IN_WORDS,
    Email,
    GitHubCallers,
    GroupName,
    Identity,
    ImageUri,
    LogRetention,
    PolicyArn,
    Registry,
    RoleArn,
    Schedule,
    SecretsPrefix,
    Url,
    known_as,
)

_TTL = r"([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?"
# Lambda has room for 4 KB in a function's environment; the rest of it takes less than a third.
_ROOM_FOR_LISTS = 2800


class Settings(BaseModel):
    """A platform, as chosen. Times in seconds, sizes in MB unless a name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str = Field(
        default="fibfactory",
        pattern=r"^[a-z][a-z0-9-]{1,19}[a-z0-9]$",
        description="the platform's id; part of every name, and a tag",
    )
    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="where the platform and its environments are; fixed once made",
    )

    code: Literal["image", "archive"] = Field(
        default="image", description="the functions' code: a container image, or a zip of our code only"
    )
    image_uri: ImageUri | None = Field(
        default=None,
        description="the orchestrator's image in ECR, by tag or digest; with code `image` and without it, one is built",
    )
    build_arguments: dict[str, str] = Field(
        default={}, description="arguments for the images' builds; they are no place for secrets"
    )
    build_sample: bool | None = Field(
        default=None, description="build the sample application's image, too; as the orchestrator's is, unless said"
    )

    # App Runner's names have 40 characters, of which an environment's id may take 24 and `-service` 8.
    prefix: str = Field(
        default="fib-app",
        pattern=r"^[a-z][a-z0-9-]{0,5}[a-z0-9]$",
        description="what the environments' names begin with",
    )
    image_registries: tuple[Registry, ...] | None = Field(
        default=None,
        min_length=1,
        description="what environments' images must begin with; this account's registry, unless said",
    )
    environments_per_owner: int = Field(
        default=20, ge=1, le=10000, description="live environments of one owner; operators have no limit"
    )
    secrets_prefix: SecretsPrefix | None = Field(
        default=None, description="what environments may refer to as secrets; nothing, unless said"
    )
    instance_role_arn: RoleArn | None = Field(
        default=None, description="the role that environments run under, to read those secrets"
    )

    operators: tuple[Identity, ...] = Field(
        default=(), description="who may see and change everybody's environments, and run sweeps"
    )
    groups: dict[GroupName, tuple[Identity, ...]] = Field(
        default={}, description="who owns environments together, by the groups' names"
    )
    session_owners: bool = Field(
        default=False, description="whether people of IAM Identity Center own each for themselves, not as their role"
    )
    github_audience: str | None = Field(
        default=None,
        pattern=r"^\S{1,200}$",
        description="the audience of GitHub's tokens; opens the second API, for the callers in `github`",
    )
    github: tuple[GitHubCallers, ...] = Field(default=(), description="the workflows that are let in by their tokens")
    github_issuer: Url = Field(
        default="https://token.actions.githubusercontent.com", description="who issues them; Enterprise has its own"
    )
    default_ttl: str = Field(default="12h", description="how long an environment lives that does not say")
    max_lifetime: str = Field(default="7d", description="how long an environment may live at most, from its creation")
    allow_never: bool = Field(default=False, description="whether an environment may ask to live for ever")

    nightly_schedule: Schedule = Field(
        default="cron(0 3 * * ? *)", description="the deep sweep, which also looks for orphans"
    )
    light_schedule: Schedule = Field(default="rate(5 minutes)", description="the light sweep: what is due")

    # API Gateway gives up after 30 s; a function that answers later answers nobody.
    api_timeout: int = Field(default=29, ge=5, le=29)
    api_memory: int = Field(default=512, ge=256, le=10240)
    worker_timeout: int = Field(default=900, ge=120, le=900)
    # The AWS plug-in alone takes 300 to 430 MB.
    worker_memory: int = Field(default=2048, ge=1024, le=10240)
    worker_storage: int = Field(default=2048, ge=512, le=10240, description="the worker's /tmp")
    # A worker can ask for the next one before it is over: with a single one both would wait for each other's retries.
    api_concurrency: int | None = Field(default=None, ge=1, description="kept of the account's concurrency for the API")
    worker_concurrency: int | None = Field(default=None, ge=2, description="the same for the worker; also its maximum")
    worker_policies: tuple[PolicyArn, ...] = Field(
        default=(), max_length=10, description="managed policies for the worker, as a changed template may need"
    )
    permissions_boundary: PolicyArn | None = Field(default=None, description="the boundary of every role made here")
    alarm_emails: tuple[Email, ...] = Field(default=(), description="who is written to when an alarm goes off")
    log_retention_days: LogRetention = 14
    requests_per_second: int = Field(
        default=50, ge=1, le=10000, description="API Gateway answers 429 above it; bursts of twice as many pass"
    )
    protect_table: bool | None = Field(
        default=None, description="deletion protection of the table; on with code `image`, off with `archive`"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.code == "archive" and self.image_uri is not None:
            raise ValueError("an image has no use with code `archive`: leave out --image-uri or --code archive")
        if self.build_arguments and not (self.builds_orchestrator or self.builds_sample):
            raise ValueError("build_arguments have no use where no image is built: leave them out")
        if duration("default_ttl", self.default_ttl) > duration("max_lifetime", self.max_lifetime):
            raise ValueError(f"default_ttl {self.default_ttl} is longer than max_lifetime {self.max_lifetime}")
        self._refuse_rare_sweeps()
        self._refuse_half_of_a_pair()
        self._refuse_what_is_elsewhere()
        self._refuse_two_groups_of_one()
        self._refuse_lists_without_room()
        return self

    def _refuse_rare_sweeps(self) -> None:
        """Only of rates; what a `cron(…)` may be silent for is its writer's to know."""
        for name, days in (("light_schedule", 1), ("nightly_schedule", 7)):
            rate = re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", getattr(self, name))
            if rate and timedelta(**{f"{rate[2]}s": int(rate[1])}) > timedelta(days=days):
                raise ValueError(
                    f"{name} must come every {days} day{'s'[: days > 1]} at least: no alarm could miss it else"
                )

    def _refuse_half_of_a_pair(self) -> None:
        if (self.secrets_prefix is None) != (self.instance_role_arn is None):
            raise ValueError("secrets_prefix and instance_role_arn go together: the role is what reads the secrets")
        if bool(self.github) != (self.github_audience is not None):
            raise ValueError("github and github_audience go together: who is let in, and by tokens for which audience")

    def _refuse_what_is_elsewhere(self) -> None:
        if self.secrets_prefix is not None and self.secrets_prefix.split(":")[3] != self.region:
            raise ValueError(
                f"secrets_prefix must be of {self.region}: App Runner reads secrets of its own region only"
            )
        if self.image_uri is not None and self.image_uri.split(".")[3] != self.region:
            raise ValueError(f"image_uri must be of {self.region}: Lambda takes images of its own region only")

    def _refuse_two_groups_of_one(self) -> None:
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            for member in members:
                other = seen.setdefault(known_as(member), group)
                if other != group:
                    raise ValueError(f"groups {other} and {group} both have {member}: one can own for one only")

    def _refuse_lists_without_room(self) -> None:
        lists = self.model_dump_json(
            include={"operators", "groups", "github", "image_registries", "secrets_prefix"}, exclude_none=True
        )
        if len(lists) > _ROOM_FOR_LISTS:
            raise ValueError(
                f"operators, groups, github and image_registries take {len(lists)} characters, "
                f"and a function's environment has room for {_ROOM_FOR_LISTS}: name roles rather than people, or fewer"
            )

    @property
    def builds_orchestrator(self) -> bool:
        """Whether the orchestrator's image is built and pushed by a deploy."""
        return self.code == "image" and self.image_uri is None

    @property
    def builds_sample(self) -> bool:
        """Whether the sample application's image is."""
        return self.builds_orchestrator if self.build_sample is None else self.build_sample

    @property
    def table_protected(self) -> bool:
        """Whether DynamoDB refuses to delete the table."""
        return self.code == "image" if self.protect_table is None else self.protect_table


def duration(name: str, text: str) -> timedelta:
    """`7d12h` as a timedelta. Raises ValueError, naming the setting, for anything else and for nothing at all."""
    if (match := re.fullmatch(_TTL, text)) is not None:
        days, hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
        if length := timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds):
            return length
    raise ValueError(
        f"{name} must be days, hours, minutes and seconds in that order, such as 12h or 7d12h, not {text!r}"
    )


def load(file: Path | None, options: Mapping[str, object], ambient: Mapping[str, object]) -> Settings:
    """The settings given as options, over those of a TOML file, over what the surroundings suggest; None is not given.

    Raises SettingsError, one sentence, naming each setting that can't be.
    """
    chosen = {
        name: value
        for source in (ambient, written(file), options)
        for name, value in source.items()
        if value is not None
    }
    try:
        return Settings.model_validate(chosen)
    except ValidationError as error:
        raise SettingsError(f"{_sentence(error)}.", "Change that and run it again; nothing was touched.") from error


def written(file: Path | None) -> dict[str, object]:
    """What a settings file says, unchecked; nothing without a file. Raises SettingsError when it can't be read."""
    try:
        return tomllib.loads(file.read_text("utf-8")) if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {file} can't be read: {error}.", "Mend the file; it is TOML."
        ) from error


def _sentence(error: ValidationError) -> str:
    return "; ".join(_problem(one) for one in error.errors())


def _problem(one: ErrorDetails) -> str:
    setting, kind, message = ".".join(map(str, one["loc"])), one["type"], one["msg"]
    if kind == "string_pattern_mismatch" and (
        words := IN_WORDS.get(str(one["loc"][-1]), IN_WORDS.get(str(one["loc"][0])))
    ):
        return f"The setting {setting} must be {words}, not {one['input']!r}"
    if kind == "extra_forbidden":
        return f"There is no setting {setting}"
    if kind == "missing":
        return f"The setting {setting} is missing"
    message = message.removeprefix("Value error, ")
    return f"The setting {setting}: {message}" if setting else message

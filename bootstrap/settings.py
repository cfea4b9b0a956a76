"""What an operator may choose about a platform.

The rule: everything is checked here, together, before anything is made; the rest of the package trusts it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bootstrap.errors import SettingsError

_TTL = r"([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?"
_SCHEDULE = r"^(rate\([1-9][0-9]* (minutes?|hours?|days?)\)|cron\([^()]{11,}\))$"
# CloudWatch Logs takes these numbers of days and no others.
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
OwnerArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(role|user|assumed-role)/[A-Za-z0-9_+=,.@/-]+$")
]
Schedule = Annotated[str, Field(pattern=_SCHEDULE)]


class Settings(BaseModel):
    """A platform, as chosen. Times in seconds, sizes in MB unless a name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str = Field(
        default="fibfactory",
        pattern=r"^[a-z][a-z0-9-]{2,20}$",
        description="the platform's id; part of every name, and a tag",
    )
    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="where the platform and its environments are; fixed once made",
    )

    code: Literal["image", "archive"] = Field(
        default="image", description="the functions' code: a container image, or a zip of our code only"
    )
    image_uri: str | None = Field(
        default=None, min_length=1, description="the orchestrator's image in ECR, by tag or digest, with code `image`"
    )

    # App Runner's names have 40 characters, of which an environment's id may take 24 and `-service` 8.
    prefix: str = Field(
        default="fib-app",
        pattern=r"^[a-z][a-z0-9-]{0,5}[a-z0-9]$",
        description="what the environments' names begin with",
    )
    operators: tuple[OwnerArn, ...] = Field(
        default=(), description="who may see and change everybody's environments, and run sweeps"
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
    log_retention_days: LogRetention = 14
    requests_per_second: int = Field(
        default=50, ge=1, le=10000, description="API Gateway answers 429 above it; bursts of twice as many pass"
    )
    protect_table: bool | None = Field(
        default=None, description="deletion protection of the table; on with code `image`, off with `archive`"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.code == "image" and self.image_uri is None:
            raise ValueError("code `image` needs the orchestrator's image: give --image-uri")
        if self.code == "archive" and self.image_uri is not None:
            raise ValueError("an image has no use with code `archive`: leave out --image-uri or --code archive")
        if duration("default_ttl", self.default_ttl) > duration("max_lifetime", self.max_lifetime):
            raise ValueError(f"default_ttl {self.default_ttl} is longer than max_lifetime {self.max_lifetime}")
        return self

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
    try:
        written: dict[str, object] = tomllib.loads(file.read_text("utf-8")) if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings file {file} can't be read: {error}.", "Mend the file; it is TOML."
        ) from error
    chosen = {
        name: value for source in (ambient, written, options) for name, value in source.items() if value is not None
    }
    try:
        return Settings.model_validate(chosen)
    except ValidationError as error:
        raise SettingsError(f"{_sentence(error)}.", "Change that and run it again; nothing was touched.") from error


def _sentence(error: ValidationError) -> str:
    return "; ".join(_problem(".".join(map(str, one["loc"])), one["type"], one["msg"]) for one in error.errors())


def _problem(setting: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"There is no setting {setting}"
    if kind == "missing":
        return f"The setting {setting} is missing"
    message = message.removeprefix("Value error, ")
    return f"The setting {setting}: {message}" if setting else message

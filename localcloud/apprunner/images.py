"""The settings file that says which command stands for which image: `[[image]]` tables with `match`, `command`,
`folder`, `environment`.

Rules: the first table with a matching pattern wins; an image without a tag is `:latest`; an image that no table names
does not exist. In commands, folders and values `{python}` is this interpreter and `{root}` the checkout.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localcloud.apprunner.settings import ROOT


class ImagesFileError(Exception):
    """The images file cannot be read or says something unknown; the message says where."""


@dataclass(frozen=True)
class Program:
    """What runs for an image."""

    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    match: list[str] = Field(min_length=1)
    command: list[str] = Field(min_length=1)
    folder: str = "{root}"
    environment: dict[str, str] = {}


class Images(BaseModel):
    """The file's content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: list[_Entry] = []

    def program(self, image: str) -> Program | None:
        """The program that stands for an image, or None."""
        wanted = with_tag(image)
        for entry in self.image:
            if any(fnmatchcase(wanted, pattern) for pattern in entry.match):
                return Program(
                    command=tuple(_filled(each) for each in entry.command),
                    folder=Path(_filled(entry.folder)),
                    environment={name: _filled(value) for name, value in entry.environment.items()},
                )
        return None


def load_images(path: Path) -> Images:
    """Read the file. Raises ImagesFileError."""
    try:
        return Images.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ImagesFileError(f"{path}: {error}") from error


def with_tag(image: str) -> str:
    """The image with the tag or digest it stands for."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _filled(text: str) -> str:
    return text.replace("{python}", sys.executable).replace("{root}", str(ROOT))

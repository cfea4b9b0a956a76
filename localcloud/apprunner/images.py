"""The settings file that says which command stands for which image: `[[image]]` tables with `match`, `command`,
`folder`, `environment`.

Rules: the first table with a matching pattern wins; an image without a tag is `:latest`; an image that no table names
does not exist. In commands, folders and values `{python}` is this interpreter and `{root}` the checkout.
"""

from __future__ import annotations

import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from localcloud.settings import ROOT


class ImagesFileError(Exception):
    """The images file cannot be read or has an unknown entry; the message says where."""


def _filled(text: str) -> str:
    return str(text).replace("{python}", sys.executable).replace("{root}", str(ROOT))


_Text = Annotated[str, AfterValidator(_filled)]


class Program(BaseModel):
    """What runs for the images that match."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: tuple[str, ...] = Field(min_length=1)
    command: tuple[_Text, ...] = Field(min_length=1)
    folder: Annotated[Path, BeforeValidator(_filled)] = ROOT
    environment: dict[str, _Text] = {}


class Images(BaseModel):
    """The file's content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: list[Program] = []

    def program(self, image: str) -> Program | None:
        """The program that stands for an image, or None."""
        wanted = with_tag(image)
        matching = (each for each in self.image if any(fnmatchcase(wanted, pattern) for pattern in each.match))
        return next(matching, None)


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

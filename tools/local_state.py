"""`.local/`: what `make up` leaves for `make down` and for the user's shell.

Rule: everything in it is readable by this user only and can be removed at any time; the state of a running cloud is in
the cloud's own folder.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from localcloud.running import write_private
from localcloud.settings import ROOT

# Set in a user's shell, these would be used beside the cloud's and break the signature or the look-up of a profile.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class LocalState:
    """The paths under `.local/`."""

    folder: Path = ROOT / ".local"

    @property
    def cloud(self) -> Path:
        """The local cloud's own folder."""
        return self.folder / "cloud"

    @property
    def log(self) -> Path:
        """The output of the cloud's supervisor."""
        return self.folder / "cloud.log"

    @property
    def env(self) -> Path:
        """The file for a shell to source."""
        return self.folder / "env"

    def write_env(self, environment: Mapping[str, str], path_folders: list[str]) -> None:
        """Write the file to source, readable by this user only; replaced as a whole."""
        write_private(self.env, as_shell(environment, path_folders))


def state_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option `--folder` of `up` and `down`, which gives them a LocalState."""
    return click.option(
        "--folder",
        "state",
        metavar="DIR",
        type=lambda folder: LocalState(Path(folder).resolve()),
        default=LocalState.folder,
        show_default=True,
        help="The folder of the state.",
    )(command)


def as_shell(environment: Mapping[str, str], path_folders: list[str]) -> str:
    """`export` lines for a POSIX shell. PATH is put before the shell's own instead of replacing it."""
    lines = ["# Written by `make up`; source it: . .local/env", f"unset {' '.join(_IN_THE_WAY)}"]
    # A service's own endpoint would win over the cloud's.
    lines.append("unset $(env | sed -n 's/^\\(AWS_ENDPOINT_URL[A-Z0-9_]*\\)=.*/\\1/p') AWS_ENDPOINT_URL")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items()) if name != "PATH"]
    lines.append(f'export PATH={shlex.quote(os.pathsep.join(path_folders))}:"$PATH"')
    return "\n".join(lines) + "\n"

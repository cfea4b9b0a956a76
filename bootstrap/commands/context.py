"""What every command works with: a platform, the operator's AWS session and Pulumi CLI, and a console to print to and ask on."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import boto3
from pulumi import automation as auto
from rich.console import Console

from bootstrap.errors import EngineError, explained
from orchestrator.adapters.pulumi.process import PulumiProcess
from orchestrator.ports import StopSignal

_SHOWN = 5


@dataclass(frozen=True)
class Context:
    """`confirm` asks a yes-or-no question and raises unless the answer is yes; None: there are no questions."""

    platform: str
    region: str
    console: Console
    confirm: Callable[[str], None] | None = None

    @cached_property
    def session(self) -> boto3.Session:
        """A session for the region. Raises AccountError when the AWS configuration can't be read."""
        with explained("read your AWS configuration"):
            return boto3.Session(region_name=self.region)

    @cached_property
    def pulumi(self) -> PulumiProcess:
        """The Pulumi CLI on PATH, which gets the signals of this process. Raises EngineError when it is missing or too old."""
        try:
            installed = auto.PulumiCommand()
        except FileNotFoundError as error:
            raise EngineError(
                "The Pulumi CLI is not on PATH.",
                "`make setup` puts one into .venv/bin: add that to PATH, or install it (https://www.pulumi.com/docs/install/).",
            ) from error
        except (auto.InvalidVersionError, subprocess.CalledProcessError) as error:
            raise EngineError(
                f"The Pulumi CLI on PATH can't be used: {error}", "Install a current one and run this again."
            ) from error
        return PulumiProcess(StopSignal(math.inf), self._say_that_it_stops, installed.version)

    @property
    def options(self) -> str:
        """The options that name this platform, for a command in a message."""
        return f"--platform {self.platform} --region {self.region}"

    def say(self, line: str) -> None:
        """Print what is being done."""
        self.console.print(line)

    def detail(self, line: str) -> None:
        """Print a part of it."""
        self.console.print(f"  {line}")

    def ask(self, question: str) -> None:
        """Raises Interrupted unless the answer is yes, or there are no questions."""
        if self.confirm:
            self.confirm(question)

    def _say_that_it_stops(self) -> None:
        self.say("stopping gracefully: what is under way is finished first; interrupt once more to stop at once")


def shorten(names: Collection[str]) -> str:
    """`a, b, c`, or the first five of more and their number."""
    more = f" … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(list(names)[:_SHOWN]) + more

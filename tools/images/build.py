"""Both images, built from this checkout.

Rule: the Dockerfiles alone say what is in an image; this only finds their bases.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tools.commands import Say, ToolFailure
from tools.images import base, docker, pins
from tools.setup import pulumi_cli
from tools.setup.layout import layout_of

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Built:
    """An image, and how long it took to build."""

    tag: str
    seconds: float


def build(say: Say, *, machine_cli: bool, tag: str = "latest", wanted_base: str | None = None) -> tuple[Built, Built]:
    """Build the orchestrator's image and the sample application's. Raises `ToolFailure`.

    `machine_cli`: the image gets this machine's own Pulumi CLI, and no AWS plug-in. That is for tests, so a base that
    is made here is good enough.
    """
    docker.require()
    if not machine_cli:
        pins.fill(pins.PINS, say)
    image = base.base(wanted_base, say, own=machine_cli)
    build_base = base.build_base(image, _machine_cli() if machine_cli else None, say)
    bases = {"BASE": image, "BUILD_BASE": build_base.image}
    return (
        _built(f"fibfactory/orchestrator:{tag}", "Dockerfile.lambda", bases | build_base.programs, say),
        _built(f"fibfactory/fibservice:{tag}", "Dockerfile.fib", bases, say),
    )


def _built(tag: str, dockerfile: str, arguments: dict[str, str], say: Say) -> Built:
    started = time.monotonic()
    docker.build(tag, CHECKOUT / dockerfile, CHECKOUT, arguments, say)
    return Built(tag, time.monotonic() - started)


def _machine_cli() -> Path:
    found = pulumi_cli.found(layout_of(CHECKOUT, os.environ), os.environ)
    if found is None:
        raise ToolFailure("This machine has no Pulumi CLI.", "Run make setup first.")
    return found.resolve()

"""Both images, built from this checkout.

Rule: the Dockerfiles alone say what is in an image; this only finds what they are built from.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tools.images import base, docker, pins
from tools.images.steps import ImageFailure, Progress
from tools.setup import pulumi_cli
from tools.setup.layout import layout_of

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Built:
    """An image, and how long it took to build."""

    tag: str
    seconds: float


def build(
    progress: Progress, *, machine_cli: bool, tag: str = "latest", wanted_base: str | None = None
) -> tuple[Built, Built]:
    """Build the orchestrator's image and the sample application's. Raises `ImageFailure`.

    `machine_cli`: this machine's own Pulumi CLI goes into the image, and no AWS plug-in. That is for tests, so a base
    that is made here will do.
    """
    docker.require()
    if not machine_cli:
        pins.fill(pins.PINS, progress)
    image = base.base(wanted_base, progress, own=machine_cli)
    build_base = base.build_base(image, _machine_cli() if machine_cli else None, progress)
    bases = {"BASE": image, "BUILD_BASE": build_base.image}
    return (
        _built(f"fibfactory/orchestrator:{tag}", "Dockerfile.lambda", bases | build_base.programs, progress),
        _built(f"fibfactory/fibservice:{tag}", "Dockerfile.fib", bases, progress),
    )


def _built(tag: str, dockerfile: str, arguments: dict[str, str], progress: Progress) -> Built:
    started = time.monotonic()
    docker.build(tag, CHECKOUT / dockerfile, CHECKOUT, arguments, progress)
    return Built(tag, time.monotonic() - started)


def _machine_cli() -> Path:
    found = pulumi_cli.found(layout_of(CHECKOUT, os.environ), os.environ)
    if found is None:
        raise ImageFailure("This machine has no Pulumi CLI.", "Run make setup first.")
    return found.resolve()

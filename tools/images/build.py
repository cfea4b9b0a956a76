"""Both images, built from this checkout.

Rule: the Dockerfiles alone say what is in an image; this only finds their bases.
"""

from __future__ import annotations

import os
from pathlib import Path

from tools.commands import Say, ToolFailure
from tools.images import base, docker, pins
from tools.setup import pulumi_cli
from tools.setup.layout import layout_of

CHECKOUT = Path(__file__).resolve().parents[2]


def build(say: Say, *, machine_cli: bool, tag: str = "latest", wanted_base: str | None = None) -> tuple[str, str]:
    """Build the orchestrator's image and the sample application's; their names. Raises `ToolFailure`.

    `machine_cli`: the image gets this machine's own Pulumi CLI, and no AWS plug-in. That is for tests, so a base that
    is made here is good enough.
    """
    if reason := docker.missing():
        raise ToolFailure(reason, "Install Docker and start its daemon, then run this again.")
    if not machine_cli:
        pins.fill(pins.PINS, say)
    image = base.base(wanted_base, say, own=machine_cli)
    build_base = base.build_base(image, _machine_cli() if machine_cli else None, say)
    bases = {"BASE": image, "BUILD_BASE": build_base.image}
    orchestrator, fibservice = f"fibfactory/orchestrator:{tag}", f"fibfactory/fibservice:{tag}"
    docker.build(orchestrator, CHECKOUT / "Dockerfile.lambda", CHECKOUT, bases | build_base.programs, say)
    docker.build(fibservice, CHECKOUT / "Dockerfile.fib", CHECKOUT, bases, say)
    return orchestrator, fibservice


def _machine_cli() -> Path:
    found = pulumi_cli.found(layout_of(CHECKOUT, os.environ), os.environ)
    if found is None:
        raise ToolFailure("This machine has no Pulumi CLI.", "Run make setup first.")
    return found.resolve()

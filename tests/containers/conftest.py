"""Both images, built once for all container tests; without Docker these tests are skipped with a reason.

The rule: with FIBFACTORY_REQUIRE_DOCKER set, as in CI, they fail instead of being skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers import runtime_emulator
from tests.containers.runtime_emulator import Function, Inbox, NoEmulator, running_function
from tools.images import docker
from tools.images.base import NoBase
from tools.images.build import build
from tools.platform_on_localcloud import Platform

# Read at import: a fixture removes the variables with this prefix before the tests.
_REQUIRED = bool(os.environ.get("FIBFACTORY_REQUIRE_DOCKER"))


@dataclass(frozen=True)
class Images:
    """The images' names."""

    orchestrator: str
    fibservice: str


@pytest.fixture(scope="session")
def docker_daemon() -> None:
    """Require a Docker daemon."""
    if reason := docker.missing():
        _skip_or_fail(reason)


@pytest.fixture(scope="session")
def images(docker_daemon: None) -> Images:
    """Both images, built from this checkout with this machine's Pulumi CLI."""
    try:
        return Images(*build(print, machine_cli=True, tag="test"))
    except NoBase as reason:
        _skip_or_fail(str(reason))


@pytest.fixture(scope="session")
def emulator() -> Path:
    """AWS's runtime interface emulator."""
    try:
        return runtime_emulator.binary()
    except NoEmulator as reason:
        _skip_or_fail(str(reason))


@pytest.fixture(scope="session")
def quiet_platform(platform: Platform) -> Iterator[Platform]:
    """The platform with its schedules off, so that only the tests start anything."""
    with platform.schedules_off():
        yield platform


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """The receiver of the functions' asynchronous invocations."""
    with Inbox() as listening:
        yield listening


@pytest.fixture(scope="session")
def api(images: Images, emulator: Path, quiet_platform: Platform, inbox: Inbox) -> Iterator[Function]:
    """The API function in a container."""
    with running_function(images.orchestrator, emulator, quiet_platform, "api_function", inbox) as function:
        yield function


@pytest.fixture(scope="session")
def worker(images: Images, emulator: Path, quiet_platform: Platform, inbox: Inbox) -> Iterator[Function]:
    """The worker function in a container."""
    with running_function(images.orchestrator, emulator, quiet_platform, "worker_function", inbox) as function:
        yield function


def _skip_or_fail(reason: str) -> None:
    if _REQUIRED:
        pytest.fail(f"FIBFACTORY_REQUIRE_DOCKER is set, but: {reason}")
    pytest.skip(reason)

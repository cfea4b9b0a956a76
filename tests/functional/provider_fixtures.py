"""Fixtures of the tests that run real programs against the stand-in provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.apprunner.settings import Behaviour
from localcloud.running import RunningCloud
from tests.functional.provider_programs import Workspace, workspace_of


@pytest.fixture
def workspace(cloud: RunningCloud, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of the local cloud's administrator."""
    made = workspace_of(cloud, tmp_path, "operator")
    yield made
    for stack in made.stacks:
        stack.destroy()


@pytest.fixture
def apprunner_admin(cloud: RunningCloud) -> Iterator[AppRunnerAdmin]:
    """The emulator's own door; it behaves as at the start again afterwards."""
    with AppRunnerAdmin(cloud.apprunner_url) as admin:
        before: Behaviour = admin.behaviour()
        yield admin
        admin.clear_faults()
        admin.behave(delays=before.delays.model_dump(), clock_speed=before.clock_speed, quota=before.quota)

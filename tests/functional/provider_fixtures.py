"""Fixtures of the tests that run real programs against the stand-in provider."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.running import RunningCloud
from tests.functional.provider_programs import REGION, Workspace, workspace_of


@pytest.fixture(scope="session")
def secrets_provider(operator_session: boto3.Session) -> str:
    """A key of the local cloud: a passphrase costs every process of the CLI half a second of computing."""
    arn = operator_session.client("kms").create_key()["KeyMetadata"]["Arn"]
    return f"awskms:///{arn}?region={REGION}"


@pytest.fixture
def workspace(cloud: RunningCloud, tmp_path: Path, secrets_provider: str) -> Iterator[Workspace]:
    """A workspace of the local cloud's operator; stacks that a test leaves behind are destroyed."""
    made = workspace_of(cloud, tmp_path, "operator", secrets_provider)
    yield made
    for name, stack in made.stacks.items():
        if made.resources(name):
            stack.destroy()
    # So that warnings about unclosed things of the SDK appear in the test that left them.
    gc.collect()


@pytest.fixture
def apprunner_admin(cloud: RunningCloud) -> Iterator[AppRunnerAdmin]:
    """The emulator's control API; the emulator behaves as at the start again afterwards."""
    admin = cloud.apprunner_admin
    before = admin.behaviour()
    yield admin
    admin.clear_faults()
    admin.behave(delays=before.delays.model_dump(), clock_speed=before.clock_speed, quota=before.quota)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder from which Docker can build an image of one file."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY app.txt /\n")
    (folder / "app.txt").write_text("one")
    return folder

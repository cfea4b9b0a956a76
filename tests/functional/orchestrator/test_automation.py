"""The Automation API with one process for each command, on a folder as the backend."""

from __future__ import annotations

import time
from pathlib import Path

import pulumi
import pytest
from pulumi import automation as auto
from semver import VersionInfo

from orchestrator.adapters.pulumi.automation import SETTINGS, Stack, Workspace
from orchestrator.adapters.pulumi.process import PULUMI_VERSION, PulumiProcess
from orchestrator.ports import StopSignal

WRITES_EVENTS_TO_A_FILE = VersionInfo.parse("3.205.0")


@pytest.mark.parametrize("version", [PULUMI_VERSION, WRITES_EVENTS_TO_A_FILE], ids=str)
def test_an_up_returns_what_its_last_events_say(version: VersionInfo, tmp_path: Path) -> None:
    """The SDK asks for outputs before it has read the last events from a file, all the more if each takes its time."""
    (tmp_path / "state").mkdir()
    workspace = Workspace(
        work_dir=str(tmp_path),
        program=lambda: pulumi.export("url", "https://example.org"),
        env_vars={**SETTINGS, "PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PULUMI_CONFIG_PASSPHRASE": "tests"},
        project_settings=auto.ProjectSettings(name="tests", runtime="python", main=str(Path.cwd())),
        pulumi_command=PulumiProcess(StopSignal(grace=25.0), version=version),
    )
    for changes in ({"create": 1}, {"same": 1}, {"same": 1}):
        # A new one each time, as a command that is run again has it.
        stack = Stack("tests", workspace, new=True)
        done = stack.up(on_event=stack.listening(lambda _: time.sleep(0.1)))
        assert done.outputs["url"].value == "https://example.org"
        assert done.summary.resource_changes == changes

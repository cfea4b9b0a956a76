"""`make up` leaves a platform that any program reaches by sourcing one file; `make down` leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from localcloud import cloud_handle
from localcloud.processes import marked
from localcloud.settings import ROOT, port_is_free
from tools.local import LocalState


def three_free_ports_in_a_row() -> int:
    """The first of them."""
    return next(
        base for base in random.sample(range(20000, 32000, 3), k=500) if all(map(port_is_free, range(base, base + 3)))
    )


def run(command: str, state: LocalState, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `up` or `down` on that state."""
    program = [sys.executable, "-m", "tools.local", command, "--folder", str(state.folder), *options]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=240)


def in_shell(state: LocalState, script: str) -> str:
    """What the script prints in a shell that has sourced the file, and nothing of this process's settings."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(state.folder)}
    command = ["/bin/sh", "-ec", f". {state.env}; {script}"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout


def left_with(state: LocalState) -> list[list[str]]:
    """The commands of processes that have the state's folder in their command or their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if str(state.folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(process.cmdline())
    return found


def test_up_leaves_a_platform_that_a_shell_reaches_and_down_leaves_nothing(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "local")
    port = str(three_free_ports_in_a_row())
    try:
        first = run("up", state, "--port", port)
        assert first.returncode == 0, first.stdout + first.stderr
        cloud = cloud_handle.find(state.cloud)
        assert cloud is not None

        assert (
            in_shell(state, "aws sts get-caller-identity --query Arn --output text").strip().endswith("user/operator")
        )
        assert in_shell(state, 'echo "$FIBFACTORY_API_URL"').strip() in first.stdout
        stacks = json.loads(in_shell(state, "pulumi stack ls --all --json"))
        assert len(stacks) == 1

        second = run("up", state, "--port", port)
        assert second.returncode == 0, second.stdout + second.stderr
        assert "already running" in second.stdout
        assert cloud_handle.find(state.cloud) == cloud
    finally:
        down = run("down", state)
    assert (down.returncode, down.stdout) == (0, "The local cloud is stopped.\n")
    assert not state.folder.exists()
    assert not marked(cloud.mark)

    again = run("down", state)
    assert (again.returncode, again.stdout) == (0, "No local cloud was running.\n")


@pytest.mark.parametrize("moment", ["Starting the local cloud", "state bucket and key", "deploying the platform"])
def test_an_up_interrupted_at_any_moment_leaves_no_process(tmp_path: Path, moment: str) -> None:
    state = LocalState(tmp_path / "local")
    port = str(three_free_ports_in_a_row())
    command = [sys.executable, "-m", "tools.local", "up", "--folder", str(state.folder), "--port", port]
    try:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout is not None
            said = ""
            while moment not in said and (letter := process.stdout.read(1)):
                said += letter
            assert moment in said
            # As a terminal does it: to the whole group.
            os.killpg(process.pid, signal.SIGINT)
            process.stdout.read()
            assert process.wait(timeout=60) == 130
        assert not state.cloud.exists()
        assert not state.env.exists()
        assert left_with(state) == []
    finally:
        run("down", state)


def test_a_taken_port_is_reported_without_a_traceback(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "local")
    port = three_free_ports_in_a_row()
    with socket.create_server(("127.0.0.1", port)):
        up = run("up", state, "--port", str(port))
    assert up.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in up.stderr
    assert "Traceback" not in up.stderr

"""Stopping the Pulumi CLI and waiting for it, with real processes and signals; a script stands in for the CLI."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from pulumi.automation import CommandError

from orchestrator.adapters.pulumi.process import CliKilled, PulumiProcess
from orchestrator.ports import StopSignal

CLI = """#!/usr/bin/env python3
import signal, sys, time
received = []
def receive(number, frame):
    received.append(signal.Signals(number).name)
    print("got", received[-1], flush=True)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, receive)
print("ready", flush=True)
while len(received) < int(sys.argv[2]):
    time.sleep(0.01)
time.sleep(0.3)
print("ended after", *received, flush=True)
sys.exit(3 if received else 0)
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLI on PATH that ends shortly after it has received as many signals as its argument says."""
    script = tmp_path / "pulumi"
    script.write_text(CLI)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_signal_is_passed_on_to_the_cli_once_and_the_cli_is_awaited(cli: Path, number: signal.Signals) -> None:
    lines: list[str] = []
    announcements: list[str] = []

    def send_twice(line: str) -> None:
        lines.append(line)
        if len(lines) <= 2:
            os.kill(os.getpid(), number)

    process = PulumiProcess(StopSignal(grace=0.0), on_signal=lambda: announcements.append("stopping"))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(CommandError, match="ended after SIGINT SIGINT") as ended:
        process.run(["2"], str(cli), {}, on_output=send_twice)
    assert not isinstance(ended.value, CliKilled)
    assert process.stopped and announcements == ["stopping"]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_stop_escalates_each_time_its_grace_period_ends(cli: Path) -> None:
    stop = StopSignal(grace=0.5)
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        stop.set()

    with pytest.raises(CliKilled):
        PulumiProcess(stop).run(["9"], str(cli), {}, on_output=note)
    assert lines == ["ready", "got SIGINT", "got SIGTERM"]


def test_a_cli_that_ends_within_the_grace_period_gets_no_further_signal(cli: Path) -> None:
    stop = StopSignal(grace=60.0)
    with pytest.raises(CommandError, match="ended after SIGINT") as ended:
        PulumiProcess(stop).run(["1"], str(cli), {}, on_output=lambda _line: stop.set())
    assert "SIGTERM" not in str(ended.value)


def test_a_cli_without_a_signal_runs_to_its_end(cli: Path) -> None:
    process = PulumiProcess(StopSignal(grace=0.0), on_signal=lambda: None)
    assert process.run(["0"], str(cli), {}).stdout.splitlines() == ["ready", "ended after"]
    assert not process.stopped

"""Long commands: their progress, their output, and how they fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tools.commands import CommandFailed, Progress, ToolFailure, run


def test_progress_is_said_after_a_second_and_then_every_five() -> None:
    said: list[str] = []
    progress = Progress("building", said.append)
    for seconds in range(13):
        progress.tick(seconds)
    progress.done(13.25)
    assert said == ["building … 1 s", "building … 6 s", "building … 11 s", "building: 13.2 s"]


def test_a_command_runs_in_its_folder_and_environment_and_returns_all_of_its_output(tmp_path: Path) -> None:
    said: list[str] = []
    command = ["sh", "-c", 'pwd; echo "$COLOUR" >&2']
    output = run(command, Progress("looking", said.append), cwd=tmp_path, environ={"COLOUR": "blue", "PATH": "/bin"})
    assert output == f"{tmp_path}\nblue\n"
    assert [line.partition(":")[0] for line in said] == ["looking"]


def test_a_failed_command_raises_with_its_output_and_reports_no_end(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(CommandFailed, match=r"^the reason$") as failed:
        run(["sh", "-c", "echo first; echo the reason; exit 2"], Progress("failing", said.append))
    assert failed.value.output == "first\nthe reason\n"
    assert said == []


def test_children_that_a_command_leaves_behind_are_ended(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    script = f"(trap '' HUP; while sleep 0.05; do touch {alive}; done) & echo started"
    assert run(["sh", "-c", script], Progress("leaving", str)) == "started\n"
    time.sleep(0.2)
    alive.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not alive.exists()


def test_a_failure_is_a_sentence_with_advice_and_the_end_of_the_output() -> None:
    failure = ToolFailure("It broke.", "Repair it.", "\n".join(map(str, range(100))))
    assert str(failure) == "It broke. Repair it."
    assert failure.output.splitlines() == [str(number) for number in range(85, 100)]

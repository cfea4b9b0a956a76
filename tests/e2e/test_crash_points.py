"""A worker or its CLI is killed at the points that hurt most; the sweep heals it, and nothing leaks.

The long form, every effect of every operation, is `python -m tests.chaos kills`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.faults.faults import Moment
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import Victim
from tests.chaos.kills import Kill, Killing, Life, Point, Sweeper
from tests.chaos.platform_fixture import Stage, WrappedCli, stage_on
from tests.chaos.report import MOST_SWEEPS
from tools.platform_on_localcloud import Platform

FUNCTION_SECONDS = 15

LIVES: tuple[Life, ...] = (
    # The service is being made and nobody knows of it but App Runner.
    {"create": Point(Effect("apprunner: CreateService", 1), Moment.AFTER, Victim.SANDBOX), "destroy": None},
    # The CLI goes on without its worker.
    {
        "create": None,
        "update": Point(Effect("apprunner: UpdateService", 1), Moment.AFTER, Victim.WORKER),
        "destroy": None,
    },
    # The engine's state says that the service is gone, but the stack is still there.
    {"create": None, "destroy": Point(Effect("state: Delete checkpoint", 1), Moment.BEFORE, Victim.SANDBOX)},
    # The worker lives on without its CLI, whose plug-in lives on without it.
    {"create": Point(Effect("state: Put checkpoint", 6), Moment.BEFORE, Victim.CLI), "destroy": None},
    # Whoever heals it dies, too.
    {
        "create": None,
        "destroy": Point(Effect("apprunner: DeleteService", 1), Moment.BEFORE, Victim.SANDBOX, again=4),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "wrapped"


@pytest.fixture(scope="module")
def cli(folder: Path) -> WrappedCli:
    return WrappedCli(folder)


@pytest.fixture(scope="module")
def stage(platform: Platform, cli: WrappedCli) -> Iterator[Stage]:
    with stage_on(platform, cli.variables(platform), FUNCTION_SECONDS) as stage:
        yield stage


@pytest.fixture(scope="module")
def kills(stage: Stage, cli: WrappedCli) -> list[Kill]:
    """All of them at once: each waits for its dead worker's lease to end."""
    return list(Killing(stage, cli, Sweeper(stage), print, "crash").all(LIVES, len(LIVES)))


def test_everybody_who_was_to_be_killed_was(kills: list[Kill]) -> None:
    assert [len(kill.deaths) for kill in kills] == [1, 1, 1, 1, 2]


def test_each_ends_as_it_was_asked_for_after_two_sweeps_at_most(kills: list[Kill]) -> None:
    endings = [(kill.healing.ended, kill.healing.wrong, kill.healing.sweeps <= MOST_SWEEPS) for kill in kills]
    assert endings == [("as desired", (), True)] * len(LIVES)


def test_no_process_of_the_dead_goes_on(kills: list[Kill]) -> None:
    assert [kill.strays for kill in kills] == [0] * len(kills)


def test_nothing_is_left_when_all_are_destroyed(kills: list[Kill], stage: Stage) -> None:
    environments = [kill.environment for kill in kills]
    assert {each: stage.services(each) for each in environments} == {each: [] for each in environments}
    assert [each for each in environments if stage.has_state(each) or stage.left_in_state(each)] == []

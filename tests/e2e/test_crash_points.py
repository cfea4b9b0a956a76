"""A worker or its CLI is killed at the most harmful points; the sweep heals the environment, and nothing leaks.

The long form, every effect of every operation, is `python -m tests.chaos kills`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.faults.faults import Moment
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import KillTarget
from tests.chaos.kills import Kill, KillRun, LifePlan, Point, Sweeper
from tests.chaos.lifecycle import AS_DESIRED
from tests.chaos.platform_fixture import PlatformFixture, WrappedCli, behind_proxy
from tests.chaos.report import MOST_SWEEPS
from tools.platform_on_localcloud import Platform

FUNCTION_SECONDS = 15

LIVES: tuple[LifePlan, ...] = (
    # The service is being created, and only App Runner knows of it.
    {"create": Point(Effect("apprunner: CreateService", 1), Moment.AFTER, KillTarget.SANDBOX), "destroy": None},
    # The CLI goes on without its worker.
    {
        "create": None,
        "update": Point(Effect("apprunner: UpdateService", 1), Moment.AFTER, KillTarget.WORKER),
        "destroy": None,
    },
    # The engine's state says that the service is gone, but the stack is still there.
    {"create": None, "destroy": Point(Effect("state: Delete checkpoint", 1), Moment.BEFORE, KillTarget.SANDBOX)},
    # The worker goes on without its CLI, and the CLI's plug-in without the CLI.
    {"create": Point(Effect("state: Put checkpoint", 6), Moment.BEFORE, KillTarget.CLI), "destroy": None},
    # The worker that heals is killed too.
    {
        "create": None,
        "destroy": Point(Effect("apprunner: DeleteService", 1), Moment.BEFORE, KillTarget.SANDBOX, again=4),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "wrapped"


@pytest.fixture(scope="module")
def cli(folder: Path) -> WrappedCli:
    return WrappedCli(folder)


@pytest.fixture(scope="module")
def fixture(platform: Platform, cli: WrappedCli) -> Iterator[PlatformFixture]:
    with behind_proxy(platform, cli.variables(platform), FUNCTION_SECONDS) as fixture:
        yield fixture


@pytest.fixture(scope="module")
def kills(fixture: PlatformFixture, cli: WrappedCli) -> list[Kill]:
    """All of them at once, as each waits for its dead worker's lease to end."""
    return list(KillRun(fixture, cli, Sweeper(fixture), print, "crash").all(LIVES, len(LIVES)))


def test_every_planned_kill_happened(kills: list[Kill]) -> None:
    assert [len(kill.deaths) for kill in kills] == [1, 1, 1, 1, 2]


def test_each_step_ends_as_desired_within_two_sweeps(kills: list[Kill]) -> None:
    endings = [(kill.healing.ended, kill.healing.wrong, kill.healing.sweeps <= MOST_SWEEPS) for kill in kills]
    assert endings == [(AS_DESIRED, (), True)] * len(LIVES)


def test_no_process_of_a_dead_worker_goes_on(kills: list[Kill]) -> None:
    assert [kill.strays for kill in kills] == [0] * len(kills)


def test_nothing_is_left_when_all_are_destroyed(kills: list[Kill], fixture: PlatformFixture) -> None:
    environments = [kill.environment for kill in kills]
    assert {each: fixture.services(each) for each in environments} == {each: [] for each in environments}
    assert [each for each in environments if fixture.has_state(each) or fixture.left_in_state(each)] == []

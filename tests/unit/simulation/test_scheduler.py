"""Virtual time: actors take turns by the clock, die where it is planned, and do nothing once they are dead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.scheduler import Actor, Killed, Scheduler


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


def spawn(scheduler: Scheduler, name: str, at: float, run: Callable[[], object], deadline: float = 1e9) -> Actor:
    actor = Actor(name, "actor", deadline)
    scheduler.spawn(actor, at, run, lambda _: None)
    return actor


def perform(scheduler: Scheduler, effect: str, done: list[str]) -> None:
    scheduler.sleep(1)
    scheduler.before_effect(effect)
    done.append(effect)
    scheduler.after_effect(effect)


def test_actors_go_on_in_the_order_of_their_moments(scheduler: Scheduler) -> None:
    said: list[str] = []

    def speak(name: str, every: float) -> None:
        for _ in range(3):
            said.append(f"{name} {scheduler.now:.0f}")
            scheduler.sleep(every)

    spawn(scheduler, "a", 0, lambda: speak("a", 10))
    spawn(scheduler, "b", 5, lambda: speak("b", 4))
    scheduler.run(100)
    assert said == ["a 0", "b 5", "b 9", "a 10", "b 13", "a 20"]
    assert scheduler.now == 100


def test_nothing_happens_after_the_moment_until_which_the_scheduler_runs(scheduler: Scheduler) -> None:
    said: list[float] = []

    def speak() -> None:
        scheduler.sleep(50)
        said.append(scheduler.now)

    spawn(scheduler, "a", 0, speak)
    scheduler.run(49)
    assert said == [] and scheduler.busy
    scheduler.run(51)
    assert said == [50] and not scheduler.busy


def test_an_actor_dies_at_its_hard_limit_and_not_before(scheduler: Scheduler) -> None:
    reached: list[float] = []

    def work() -> None:
        while True:
            scheduler.sleep(4)
            reached.append(scheduler.now)

    actor = spawn(scheduler, "a", 0, work, deadline=10)
    scheduler.run(100)
    assert reached == [4, 8]
    assert isinstance(actor.error, Killed) and not actor.alive
    assert scheduler.deaths == {"at its hard limit": 1}


def test_a_dead_actor_does_nothing_whatever_its_finally_blocks_try(scheduler: Scheduler) -> None:
    done: list[str] = []

    def work() -> None:
        try:
            perform(scheduler, "first", done)
            perform(scheduler, "second", done)
        except Exception:
            perform(scheduler, "third", done)
        finally:
            perform(scheduler, "fourth", done)

    actor = spawn(scheduler, "a", 0, work)
    actor.dies_at, actor.dies_after = 2, False
    scheduler.run(100)
    assert done == ["first"]


def test_an_actor_that_dies_after_an_effect_has_done_it(scheduler: Scheduler) -> None:
    done: list[str] = []

    def work() -> None:
        for effect in ("first", "second", "third"):
            perform(scheduler, effect, done)

    actor = spawn(scheduler, "a", 0, work)
    actor.dies_at, actor.dies_after = 2, True
    scheduler.run(100)
    assert done == ["first", "second"]


def test_only_an_interruptible_sleeper_can_be_woken(scheduler: Scheduler) -> None:
    woke: dict[str, float] = {}

    def sleep(name: str, interruptible: bool) -> None:
        scheduler.sleep_until(100, interruptible=interruptible)
        woke[name] = scheduler.now

    listener = spawn(scheduler, "listener", 0, lambda: sleep("listener", True))
    other = spawn(scheduler, "other", 0, lambda: sleep("other", False))
    scheduler.call(10, lambda: scheduler.wake(listener, 12))
    scheduler.call(10, lambda: scheduler.wake(other, 12))
    scheduler.run(200)
    assert woke == {"listener": 12, "other": 100}

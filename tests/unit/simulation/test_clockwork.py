"""Virtual time: actors take turns by the clock, die where they are told to, and do nothing once they are dead."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.scheduler import Actor, Clockwork, Killed


def spawned(clockwork: Clockwork, name: str, at: float, run: Callable[[], object], deadline: float = 1e9) -> Actor:
    actor = Actor(name, "actor", deadline)
    clockwork.spawn(actor, at, run, lambda _: None)
    return actor


def test_actors_go_on_in_the_order_of_their_moments() -> None:
    clockwork = Clockwork()
    said: list[str] = []

    def speak(name: str, every: float) -> None:
        for _ in range(3):
            said.append(f"{name} {clockwork.now:.0f}")
            clockwork.sleep(every)

    spawned(clockwork, "a", 0, lambda: speak("a", 10))
    spawned(clockwork, "b", 5, lambda: speak("b", 4))
    clockwork.run(100)
    assert said == ["a 0", "b 5", "b 9", "a 10", "b 13", "a 20"]
    assert clockwork.now == 100


def test_nothing_happens_after_the_moment_until_which_it_runs() -> None:
    clockwork = Clockwork()
    said: list[float] = []

    def speak() -> None:
        clockwork.sleep(50)
        said.append(clockwork.now)

    spawned(clockwork, "a", 0, speak)
    clockwork.run(49)
    assert said == [] and clockwork.busy
    clockwork.run(51)
    assert said == [50] and not clockwork.busy


def test_an_actor_dies_at_its_hard_limit_and_not_before() -> None:
    clockwork = Clockwork()
    reached: list[float] = []

    def work() -> None:
        while True:
            clockwork.sleep(4)
            reached.append(clockwork.now)

    actor = spawned(clockwork, "a", 0, work, deadline=10)
    clockwork.run(100)
    assert reached == [4, 8]
    assert isinstance(actor.error, Killed) and not actor.alive
    assert clockwork.deaths == {"at its hard limit": 1}


def test_the_dead_do_nothing_whatever_their_finally_blocks_try() -> None:
    clockwork = Clockwork()
    done: list[str] = []

    def effect(what: str) -> None:
        clockwork.sleep(1)
        clockwork.before_effect(what)
        done.append(what)
        clockwork.after_effect(what)

    def work() -> None:
        try:
            effect("first")
            effect("second")
        except Exception:
            effect("third")
        finally:
            effect("fourth")

    actor = spawned(clockwork, "a", 0, work)
    actor.dies_at, actor.dies_after = 2, False
    clockwork.run(100)
    assert done == ["first"]


def test_one_who_dies_after_an_effect_has_done_it() -> None:
    clockwork = Clockwork()
    done: list[str] = []

    def work() -> None:
        for what in ("first", "second", "third"):
            clockwork.sleep(1)
            clockwork.before_effect(what)
            done.append(what)
            clockwork.after_effect(what)

    actor = spawned(clockwork, "a", 0, work)
    actor.dies_at, actor.dies_after = 2, True
    clockwork.run(100)
    assert done == ["first", "second"]


def test_a_listening_sleeper_can_be_roused_and_another_can_not() -> None:
    clockwork = Clockwork()
    woke: dict[str, float] = {}

    def sleep(name: str, listening: bool) -> None:
        clockwork.sleep_until(100, listening=listening)
        woke[name] = clockwork.now

    listener = spawned(clockwork, "listener", 0, lambda: sleep("listener", True))
    other = spawned(clockwork, "other", 0, lambda: sleep("other", False))
    clockwork.call(10, lambda: clockwork.rouse(listener, 12))
    clockwork.call(10, lambda: clockwork.rouse(other, 12))
    clockwork.run(200)
    assert woke == {"listener": 12, "other": 100}

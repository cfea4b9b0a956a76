"""The Engine port: it starts CLI processes, stops them gracefully or firmly, and removes a lock that one of them left."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Interrupted, LockLeft, OperationFailed, Terminal, Transient
from orchestrator.ports import Deployed, Lock, PendingCreate, Progress, StopSignal
from tests.simulation.cli import EFFECT_PREFIX, Cli, Command
from tests.simulation.monitor import SimStopSignal
from tests.simulation.scheduler import moment_of
from tests.simulation.world import SimStack, World

_BUSY = "the state bucket is busy"


class SimEngine:
    """The Engine port."""

    def __init__(self, world: World) -> None:
        self._world = world

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        if self._run("up", environment, stop, new=new, refresh=refresh).not_found:
            self._run("up", environment, stop, new=True)
        progress("The stack is up.")
        stack = self._stack(environment)
        return Deployed(f"https://{stack.service.arn if stack and stack.service else 'nothing'}")

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        self._run("destroy", environment, stop, refresh=refresh)
        progress("The stack is removed.")

    def locks(self, environment: Environment) -> Sequence[Lock]:
        self._world.call_port("the locks are read", fault=_BUSY)
        locks = self._world.locks.get(names.stack_name(environment.id), ())
        return [Lock(lock.key, moment_of(lock.at), lock.by, lock.host) for lock in locks]

    def break_lock(self, lock: Lock) -> None:
        checks = self._world.checks
        with self._world.effect("a lock is broken", lock.key, fault=_BUSY) as actor:
            for stack, locks in self._world.locks.items():
                for found in [each for each in locks if each.key == lock.key]:
                    checks.lock_broken(actor.name, found)
                    checks.changed(actor.name, actor.token, names.id_of_stack(stack) or "")
                    locks.remove(found)

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        self._world.call_port("the pending creates are read", fault=_BUSY)
        stack = self._stack(environment)
        return tuple(stack.pending) if stack else ()

    def knows(self, environment: Environment, arn: str) -> bool:
        self._world.call_port("the state is read", fault=_BUSY)
        stack = self._stack(environment)
        return bool(stack and stack.service and stack.service.arn == arn)

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        if self._run("clear", environment, stop).not_found:
            raise Terminal("The stack does not exist.", ErrorCode.STACK_MISSING)

    def _stack(self, environment: Environment) -> SimStack | None:
        return self._world.stacks.get(names.stack_name(environment.id))

    def _run(
        self, command: Command, environment: Environment, stop: StopSignal, *, new: bool = False, refresh: bool = False
    ) -> Cli:
        """Run a process to its end. Raises its failure, once it has left no lock."""
        assert isinstance(stop, SimStopSignal)
        world = self._world
        actor = world.call_port("the CLI starts", (command, "refresh" if refresh else "", "new" if new else ""))
        cli = Cli(world, environment, actor, command, new=new, refresh=refresh)
        actor.process = cli
        drive(world, cli, stop)
        actor.process = None
        failure = cli.failure
        if stop.is_set() and (failure or not cli.over):
            failure = Interrupted("Stopped gracefully; the state has what was made until then.")
        cli.end()
        world.log(actor.name, "the CLI ended", failure or "well")
        if failure:
            self._leave_no_lock(environment, actor.host, failure)
            raise failure
        return cli

    def _leave_no_lock(self, environment: Environment, host: str, failure: OperationFailed) -> None:
        """As the real engine does it (`adapters/pulumi/stacks.py`)."""
        since = environment.lease.since
        try:
            for lock in self.locks(environment):
                if lock.host == host and since is not None and lock.at >= since:
                    self.break_lock(lock)
        except OperationFailed as error:
            raise LockLeft(f"{failure.message} The engine's lock could not be removed: {error.message}") from error


def drive(world: World, cli: Cli, stop: SimStopSignal | None) -> None:
    """Let a process go on until it ends or is killed. Without `stop` it has outlived its worker."""
    scheduler = world.scheduler
    while True:
        effect = EFFECT_PREFIX + cli.next_effect if cli.next_effect else ""
        if effect:
            scheduler.before_effect(effect)
        step = cli.go_on()
        cli.next_effect = ""
        if effect:
            world.log(world.actor.name, f"  {effect}")
            scheduler.after_effect(effect)
        if step is None:
            return
        cli.next_effect, seconds = step
        cli.steps_left -= 1
        if cli.steps_left == 0:
            cli.failure = Transient("The engine's process was ended by a signal.", ErrorCode.ENGINE_KILLED)
            return
        if stop is None:
            scheduler.sleep(seconds)
        elif not _wait(world, cli, seconds, stop):
            return


def _wait(world: World, cli: Cli, seconds: float, stop: SimStopSignal) -> bool:
    """Let the process work for so long. False when it was killed meanwhile.

    The first signal asks it to stop, the second kills it. Outside an update the first one kills it too, and its lock stays.
    """
    scheduler = world.scheduler
    until = scheduler.now + seconds
    if not cli.signalled:
        stop.sleep_until(until)
        if not stop.is_set():
            return True
        cli.signalled = True
        cli.kill_at = scheduler.now + stop.grace
        if not cli.in_update:
            return False
        if cli.obeys:
            return True
    scheduler.sleep_until(max(min(until, cli.kill_at), scheduler.now))
    return until <= cli.kill_at

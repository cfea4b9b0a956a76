"""One run: a scenario played with the real code on simulated ports, until all is quiet, and looked at.

First things go wrong while requests come in. Then faults stop, the light sweep goes on every five minutes, and when nothing is
left to do two deep sweeps come. At the end every record has to tell the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from random import Random

from orchestrator.api.use_cases import Caller, EnvironmentService
from orchestrator.domain import names
from orchestrator.domain.desired import UNSET, EnvironmentRequest, LifetimeLimits
from orchestrator.domain.environment import Environment, Observed, Spec
from orchestrator.domain.errors import FibfactoryError, LeaseLost
from orchestrator.domain.policy import Policy
from orchestrator.settings import WorkerSettings
from orchestrator.sweeper.deep import DeepSweep
from orchestrator.sweeper.sweep import Kind, Sweep
from orchestrator.worker.invocation import Worker, WorkEvent
from orchestrator.worker.reconciler import Reconciler
from tests.simulation.apprunner import ApiError, SimService
from tests.simulation.checks import Healing, Violation
from tests.simulation.cloud import SimCloud, SimInventory
from tests.simulation.faults import Faults
from tests.simulation.pulumi import Cli, SimEngine, drive
from tests.simulation.scenario import BYSTANDER, IMAGE, PLATFORM, PREFIX, Act, Request, Scenario
from tests.simulation.scheduler import START, Actor, Killed
from tests.simulation.table import SimDispatcher, SimRecords, SimReports
from tests.simulation.watching import Watches
from tests.simulation.world import Entry, SimLock, SimStack, World

LIGHT_EVERY = 300.0
_DEEP_AFTER = 3700.0
_SETTLES_WITHIN = 14 * 3600.0
_RETRIES = (60.0, 120.0)
"""Lambda tries a failed asynchronous invocation twice more (AWS's guide, and `bootstrap/program/functions.py`)."""
_WELL_AFTER = 2 * LIGHT_EVERY
"""Seconds after the last fault: by then a light sweep has run undisturbed."""
_SLACK = LIGHT_EVERY + 30.0
_HOSTS = ("sandbox-1", "sandbox-2")

ALICE = Caller("arn:aws:iam::000000000000:user/alice", operator=False)
OPERATOR = Caller("arn:aws:iam::000000000000:user/operator", operator=True)
_CALLERS = {"alice": ALICE, "operator": OPERATOR}
_LIMITS = LifetimeLimits(timedelta(hours=12), timedelta(days=7))
_RULES = Policy(registries=(f"{IMAGE.rpartition('/')[0]}/",), allow_never=True)


@dataclass(frozen=True)
class Outcome:
    """What one run came to. The counts say how much really happened in it."""

    seed: int
    violation: tuple[str, str] | None
    history: tuple[Entry, ...]
    drawn: Counter[str]
    deaths: Counter[str]
    looked: Counter[str]
    stale: Counter[str]
    happened: Counter[str]
    healing: tuple[Healing, ...]
    most_services: int
    virtual_seconds: float


@dataclass(frozen=True)
class Death:
    """A death at the so-manieth effect counted from a moment on; `stray`: the CLI outlives its worker."""

    effect: int
    after: bool
    stray: bool = False


class Simulation:
    """One run of one scenario. A test that breaks a safeguard overrides one of the `new_…`."""

    def __init__(self, scenario: Scenario, *, keep_history: bool = False) -> None:
        self.scenario = scenario
        seed = scenario.seed
        self.world = World(seed, Faults(Random(seed * 4 + 2), scenario.rates), keep_history)
        self.world.clockwork.on_death = self._died
        self.world.checks.strict_changes = not scenario.zombies
        self.happened: Counter[str] = Counter()
        self.settled_at = 0.0
        self._deaths_to_come: list[Death] = []
        self._chance = Random(seed * 4 + 3)
        self._numbers: Counter[str] = Counter()
        self._quiet_since: float | None = None
        self._ticking = True
        self._watches = Watches(self.world)
        self.records = self.new_records(self._watches)
        self.reports = self.new_reports()
        self.cloud = self.new_cloud()
        self.engine = self.new_engine()
        self._put_together()

    def new_records(self, watches: Watches) -> SimRecords:
        return SimRecords(self.world, watches)

    def new_reports(self) -> SimReports:
        return SimReports(self.world)

    def new_inventory(self) -> SimInventory:
        return SimInventory(self.world)

    def new_cloud(self) -> SimCloud:
        return SimCloud(self.world)

    def new_engine(self) -> SimEngine:
        return SimEngine(self.world)

    def new_reconciler(self, dispatcher: SimDispatcher, host: str) -> Reconciler:
        return Reconciler(
            self.records,
            self.engine,  # type: ignore[arg-type]  # its stop signal is the one that `watching` gives
            self.cloud,
            self.cloud,
            dispatcher,
            self.world.clockwork.clock,
            host=host,
            watching=self._watches.new,
        )

    def new_worker(self, reconciler: Reconciler, sweep: Sweep) -> Worker:
        return Worker(reconciler, sweep, worker_settings(), self.world.clockwork.clock, lambda: None)

    def _put_together(self) -> None:
        world, clock = self.world, self.world.clockwork.clock
        dispatcher = SimDispatcher(world, self.invoke)
        deep = DeepSweep(
            self.records, self.reports, dispatcher, self.new_inventory(), clock, platform=PLATFORM, prefix=PREFIX
        )
        sweep = Sweep(self.records, self.reports, dispatcher, clock, deep)
        self.workers = {host: self.new_worker(self.new_reconciler(dispatcher, host), sweep) for host in _HOSTS}
        self.environments = EnvironmentService(self.records, dispatcher, _LIMITS, _RULES, clock, world.clockwork.sleep)

    def play(self) -> Outcome:
        """Play it to its end, or to the first violation."""
        violation = None
        try:
            self.begin()
            self.go_on(self.scenario.active_until)
            self.be_quiet()
            self.settle()
            self.sweep_deeply(self.scenario.hard_limit)  # by then the place of a sweep that died is free
            self.sweep_deeply(_DEEP_AFTER)
            self.world.checks.all_is_well()
            if self.scenario.removes_all:
                self.remove_all()
        except Violation as found:
            violation = (found.invariant, found.message)
        return self.outcome(violation)

    def outcome(self, violation: tuple[str, str] | None = None) -> Outcome:
        world = self.world
        for row in world.rows.values():
            word = f"failed: {row.failure.code}" if row.failed_permanently and row.failure else str(row.status)
            self.happened[f"environments that ended {word}"] += row.id != BYSTANDER
        return Outcome(
            self.scenario.seed,
            violation,
            tuple(world.history or ()),
            world.faults.drawn,
            world.clockwork.deaths,
            world.checks.looked,
            world.checks.stale,
            self.happened,
            tuple(world.checks.healing),
            max(world.apprunner.most.values(), default=0),
            world.clockwork.now,
        )

    def begin(self) -> None:
        """Put things there, and let requests, acts and sweeps come when they will."""
        scenario, clockwork = self.scenario, self.world.clockwork
        self._furnish("bystander", BYSTANDER)
        for kind, environment_id in scenario.furniture:
            self._furnish(kind, environment_id)
        for request in scenario.requests:
            self.ask(request)
        for act in scenario.acts:
            clockwork.call(act.at, partial(self._act, act))
        for at in scenario.deep_sweeps:
            clockwork.call(at, partial(self.start_sweep, Kind.DEEP))
        clockwork.call(LIGHT_EVERY * self._chance.random(), self._tick)

    def go_on(self, until: float) -> None:
        self.world.clockwork.run(until)

    def be_quiet(self) -> None:
        """Nothing goes wrong from now on."""
        self.world.faults.stop()
        self._quiet_since = self.world.clockwork.now
        for locks in self.world.locks.values():
            locks[:] = [lock for lock in locks if not lock.person]

    def settle(self, within: float = _SETTLES_WITHIN) -> None:
        """Let time pass until nobody is at work and nothing is left to do; `settled_at` is when that was so."""
        clockwork = self.world.clockwork
        latest = clockwork.now + within
        while self.is_unsettled():
            if clockwork.now > latest:
                left = [row.id for row in self.world.rows.values() if row.outstanding]
                raise Violation("I1", f"after {within / 3600:.0f} quiet hours there still is work on {left}")
            self.go_on(clockwork.now + 60)
        self.settled_at = max(self.world.checks.last_write, self.settled_at)

    def is_unsettled(self) -> bool:
        return self.world.clockwork.busy or any(row.outstanding for row in self.world.rows.values())

    def sweep_deeply(self, seconds: float) -> None:
        """A deep sweep after so long, and what follows from it."""
        before = self.reports.statuses["done"]
        deep = self.happened["deep sweeps"]
        self.go_on(self.world.clockwork.now + seconds)
        self.start_sweep(Kind.DEEP)
        self.go_on(self.world.clockwork.now + 120)
        if self.reports.statuses["done"] == before or self.happened["deep sweeps"] == deep:
            raise Violation("I3", f"a deep sweep in quiet times was not done: {dict(self.reports.statuses)}")
        self.settle()

    def remove_all(self) -> None:
        """Remove every environment by force; what failed for good is asked for again, as a person would."""
        for _ in range(3):
            for environment_id, row in self.world.rows.items():
                if not row.destroyed:
                    self.ask(Request(self.world.clockwork.now, "operator", "force", environment_id))
            self.go_on(self.world.clockwork.now + 5)
            self.settle()
        self.world.checks.nothing_of_ours()

    def ask(self, request: Request) -> None:
        """Let a caller ask."""
        actor = self._actor(request.caller, "caller")
        actor.operator = request.kind == "force"
        if self._quiet_since is None and self.world.faults.hit("a caller dies"):
            actor.dies_at, actor.dies_after = self._chance.randrange(1, 3), self._chance.random() < 0.5
        self.world.clockwork.spawn(actor, request.at, partial(self._request, request), self._ended_caller)

    def invoke(self, environment_id: str, attempt: int = 0) -> None:
        """Let a worker come. It may be given its death, and then an invocation is tried again as Lambda does."""
        limit = self.scenario.hard_limit
        actor = self._actor("worker", "worker")
        faults, chance = self.world.faults, self._chance
        if self.scenario.zombies:
            if chance.random() < 0.7:
                actor.stalls_at = chance.randrange(2, 30)
        else:
            actor.deadline = self.world.clockwork.now + limit
        if faults.hit("a worker dies at an effect"):
            actor.dies_at, actor.dies_after = chance.randrange(1, 25), chance.random() < 0.5
        if faults.hit("a worker dies at some moment"):
            actor.deadline = min(actor.deadline, self.world.clockwork.now + limit * chance.random() ** 3)
        if faults.hit("a clock is wrong"):
            actor.skew = faults.between(-2, 2)
        actor.host = chance.choice(_HOSTS)
        work = self.workers[actor.host].work
        run = partial(work, WorkEvent(environment=environment_id), actor.name, timedelta(seconds=limit))
        ended = partial(self._ended_invocation, again=partial(self.invoke, environment_id), attempt=attempt)
        self.happened["invocations"] += 1
        self.world.clockwork.spawn(actor, self.world.clockwork.now, run, ended)

    def start_sweep(self, kind: Kind, attempt: int = 0) -> None:
        actor = self._actor(f"{kind} sweep", f"{kind} sweep")
        limit = self.scenario.hard_limit
        actor.deadline = self.world.clockwork.now + limit
        if self.world.faults.hit("a sweep dies"):
            actor.dies_at, actor.dies_after = self._chance.randrange(1, 8), self._chance.random() < 0.5
        run = partial(self.workers[_HOSTS[0]].run_sweep, actor.name, kind, False, timedelta(seconds=limit))
        ended = partial(self._ended_invocation, again=partial(self.start_sweep, kind), attempt=attempt)
        self.happened[f"{kind} sweeps"] += 1
        self.world.clockwork.spawn(actor, self.world.clockwork.now, run, ended)

    def _tick(self) -> None:
        """The schedule of the light sweep. One that would find nothing is not started."""
        clockwork = self.world.clockwork
        if self._quiet_since is not None and clockwork.now > self._quiet_since + _WELL_AFTER:
            self.world.checks.is_taken_up(_SLACK)
        if any(due <= clockwork.now for due in self.world.checks.due.values()):
            self.start_sweep(Kind.LIGHT)
        clockwork.call(clockwork.now + LIGHT_EVERY, self._tick)

    def _request(self, request: Request) -> None:
        caller, use, name = _CALLERS[request.caller], self.environments, request.environment
        ttl = UNSET if request.ttl is None else timedelta(seconds=request.ttl)
        protected = UNSET if request.protected is None else request.protected
        wish = EnvironmentRequest(Spec(request.image), ttl=ttl, protected=protected)
        ways: dict[str, Callable[[], object]] = {
            "put": lambda: use.put(caller, name, wish).environment,
            "post": lambda: use.create(caller, name, wish).environment,
            "remove": lambda: use.remove(caller, name).environment,
            "force": lambda: use.remove(caller, name, force=True).environment,
            "pause": lambda: use.pause(caller, name).environment,
            "resume": lambda: use.resume(caller, name).environment,
            "revive": lambda: use.revive(caller, name).environment,
            "patch": lambda: use.adjust(caller, name, ttl=ttl, protected=protected),
        }
        environment = ways[request.kind]()
        assert isinstance(environment, Environment)
        self.happened["requests accepted"] += 1
        self.world.checks.request_accepted(environment)
        self.world.tell(self.world.actor.name, f"  accepted: {request.kind} {name}")

    def _ended_caller(self, actor: Actor) -> None:
        self._look_at(actor)
        self.happened["requests refused or failed"] += actor.error is not None

    def _ended_invocation(self, actor: Actor, again: Callable[..., None], attempt: int) -> None:
        self._look_at(actor)
        clockwork, process = self.world.clockwork, actor.process
        if isinstance(process, Cli) and not process.over:
            self._left_behind(actor, process)
        if actor.error is None or isinstance(actor.error, LeaseLost):
            return
        self.happened["invocations that failed"] += 1
        if attempt < len(_RETRIES):
            clockwork.call(clockwork.now + _RETRIES[attempt], partial(again, attempt=attempt + 1))

    def _look_at(self, actor: Actor) -> None:
        error = actor.error
        if error is not None:
            self.world.tell(actor.name, "ended with", error)
            if not isinstance(error, (FibfactoryError, Killed)):
                self.world.checks.unforeseen(actor, error)

    def _left_behind(self, actor: Actor, process: Cli) -> None:
        """The CLI of a worker that died: it dies too, or goes on for a while within the lease."""
        chance = actor.stray is None
        if not (self.world.faults.hit("the CLI outlives its worker") if chance else actor.stray):
            process.end()
            return
        self.happened["CLIs that outlived their worker"] += 1
        now = self.world.clockwork.now
        ghost = self._actor("stray CLI", "CLI")
        ghost.environment, ghost.token = actor.environment, actor.token
        longest = max(actor.holds_until - now - 1, 0)
        ghost.deadline = now + (longest * self._chance.random() ** 2 if chance else longest)
        self.world.clockwork.spawn(ghost, now, lambda: drive(self.world, process, None), lambda _: process.end())

    def arm(self, *deaths: Death) -> None:
        """Let these deaths come: whoever does the first one's effect dies, and from then on the next one's is counted."""
        self._deaths_to_come = list(deaths)
        self._count_on()

    def _count_on(self) -> None:
        clockwork = self.world.clockwork
        if self._deaths_to_come:
            death = self._deaths_to_come[0]
            clockwork.dies_at, clockwork.dies_after = clockwork.effects + death.effect, death.after
        else:
            clockwork.dies_at = 0

    def _died(self, actor: Actor, how: str) -> None:
        if self._deaths_to_come and self.world.clockwork.effects == self.world.clockwork.dies_at:
            actor.stray = self._deaths_to_come.pop(0).stray
            self._count_on()
        self.happened[f"deaths of a {actor.kind}"] += 1
        self.world.tell(actor.name, f"  † dies {how}")
        self.world.checks.died(actor, how)

    def _act(self, act: Act) -> None:
        if self._quiet_since is not None:
            return
        world = self.world
        if act.kind == "lock":
            stack = names.stack_name(act.environment)
            if not world.locks.get(stack):  # the CLI that a person runs backs off as any other
                lock = SimLock(f"{stack}/person", world.clockwork.now, "carol@laptop, process 1", "laptop", person=True)
                world.locks.setdefault(stack, []).append(lock)
                world.tell("a person", f"locks {stack}")
                self.happened["locks by a person"] += 1
                world.clockwork.call(world.clockwork.now + act.seconds, partial(self._unlock, stack, lock))
            return
        service = world.apprunner.named(names.service_name(PREFIX, act.environment))
        if service is not None and not service.foreign:
            try:
                {"delete": world.apprunner.delete, "pause": world.apprunner.pause, "resume": world.apprunner.resume}[
                    act.kind
                ](service.arn)
                world.tell("a person", f"{act.kind}s {service.name}")
                world.checks.changed_by_hand.add(act.environment)
                self.happened[f"services that a person {act.kind}d"] += 1
            except ApiError:
                return

    def _unlock(self, stack: str, lock: SimLock) -> None:
        locks = self.world.locks[stack]
        if lock in locks:
            locks.remove(lock)
            self.world.tell("a person", f"unlocks {stack}")

    def _furnish(self, kind: str, environment_id: str) -> None:
        """Something that stands there from the start, made long ago."""
        world = self.world
        name, stack = names.service_name(PREFIX, environment_id), names.stack_name(environment_id)
        foreign = kind.startswith(("another's", "nobody's"))
        owner = ALICE.owner if kind != "bystander" else OPERATOR.owner
        platform = {"another's": "another", "nobody's": names.NO_PLATFORM}.get(kind.split(" ")[0], PLATFORM)
        tags = names.tags(platform, owner, environment_id, 1)
        image, long_ago = f"{IMAGE}:v1", -7200.0
        service = SimService(f"arn:service/{name}/0", name, image, tags, long_ago, foreign, "RUNNING")
        service.operations.append(("operation-0", "SUCCEEDED"))
        has_service = not kind.endswith("stack")
        if has_service:
            world.apprunner.put_there(service)
        if kind in ("bystander", "orphan") or kind.endswith("stack"):
            known = (service.arn, image, tags) if has_service else None
            world.stacks[stack] = SimStack(known, tags=tags, changed_at=long_ago, foreign=foreign)
        if kind == "bystander":
            then = START - timedelta(hours=2)
            observed = Observed(1, f"https://{service.arn}", service.arn, image, at=then)
            world.rows[environment_id] = Environment(
                environment_id, owner, then, then, Spec(image), protected=True, observed=observed
            )

    def _actor(self, name: str, kind: str) -> Actor:
        self._numbers[name] += 1
        return Actor(f"{name}-{self._numbers[name]}", kind)


@cache
def worker_settings() -> WorkerSettings:
    return WorkerSettings(
        platform=PLATFORM,
        table="simulated",
        worker_function="simulated",
        backend_url="s3://simulated",
        secrets_provider="simulated",
    )

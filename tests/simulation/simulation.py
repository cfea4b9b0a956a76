"""One run: a scenario played with the real code on simulated ports, until nothing happens any more, and then checked.

First, things go wrong while requests come in. Then faults stop and the light sweep goes on every five minutes. When nothing is
left to do, two deep sweeps follow. At the end every record has to agree with the cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

from orchestrator.api.use_cases import EnvironmentService
from orchestrator.domain.desired import UNSET, Adjustment, EnvironmentRequest, LifetimeLimits
from orchestrator.domain.environment import Environment, Spec
from orchestrator.domain.errors import FibfactoryError, LeaseLost
from orchestrator.domain.invocation import InvocationLimits
from orchestrator.domain.policy import Policy
from orchestrator.domain.sweeps import SweepKind, SweepStatus
from orchestrator.ports import WorkerPorts
from orchestrator.settings import WorkerSettings
from orchestrator.sweeper.sweep import Sweep
from orchestrator.worker.reconciler import Reconciler
from tests.simulation.checks import Violation
from tests.simulation.cli import Cli
from tests.simulation.cloud import SimCloud, SimInventory
from tests.simulation.engine import SimEngine, drive
from tests.simulation.faults import Faults
from tests.simulation.healing import Healing
from tests.simulation.monitor import Monitors
from tests.simulation.scenario import BYSTANDER, IMAGE, PLATFORM, PREFIX, ManualAction, Request, Scenario
from tests.simulation.scheduler import Actor, Killed
from tests.simulation.surroundings import (
    ALICE,
    OPERATOR,
    act,
    create_bystander,
    create_existing,
    remove_manual_locks,
)
from tests.simulation.table import SimDispatcher, SimRecords, SimReports
from tests.simulation.world import Entry, World

LIGHT_EVERY = 300.0
_DEEP_AFTER = 3700.0
_SETTLES_WITHIN = 14 * 3600.0
_RETRIES = (60.0, 120.0)
"""Lambda tries a failed asynchronous invocation twice more (AWS's guide, and `bootstrap/program/functions.py`)."""
_UNDISTURBED_AFTER = 2 * LIGHT_EVERY
"""Seconds after the last fault: by then a light sweep has run undisturbed."""
_SLACK = LIGHT_EVERY + 30.0
_HOSTS = ("sandbox-1", "sandbox-2")
_CALLERS = {"alice": ALICE, "operator": OPERATOR}
_LIFETIMES = LifetimeLimits(timedelta(hours=12), timedelta(days=7))
_POLICY = Policy(registries=(f"{IMAGE.rpartition('/')[0]}/",), allow_never=True)
_STOP_BEFORE = timedelta(seconds=WorkerSettings.model_fields["stop_before_seconds"].default)
_LEASE_MARGIN = timedelta(seconds=WorkerSettings.model_fields["lease_margin_seconds"].default)


@dataclass(frozen=True)
class RunResult:
    """How one run ended, and how much really happened in it."""

    seed: int
    violation: tuple[str, str] | None
    """The invariant that does not hold, and how it is violated."""
    history: tuple[Entry, ...]
    counts: dict[str, Counter[str]]
    """By group: `faults`, `deaths`, `checks`, `without_lease`, `happened`."""
    healings: tuple[Healing, ...]
    most_services: int
    virtual_seconds: float


@dataclass(frozen=True)
class Death:
    """A death at the effect with this number, counted from a moment on. `cli_survives`: the CLI outlives its worker."""

    effect: int
    after: bool
    cli_survives: bool = False


class Simulation:
    """One run of one scenario. A test that breaks the table overrides `new_records`."""

    def __init__(self, scenario: Scenario, *, keep_history: bool = False) -> None:
        self.scenario = scenario
        seed = scenario.seed
        self.world = World(seed, Faults(Random(seed * 4 + 2), scenario.rates), keep_history)
        self.scheduler = self.world.scheduler
        self.scheduler.on_death = self._died
        self.world.checks.workers_die_in_time = not scenario.stale_workers
        self.happened: Counter[str] = Counter()
        self.settled_at = 0.0
        self._planned_deaths: list[Death] = []
        self._rng = Random(seed * 4 + 3)
        self._numbers: Counter[str] = Counter()
        self._faults_stopped_at: float | None = None
        self.reports = SimReports(self.world)
        self._assemble()

    def new_records(self, monitors: Monitors) -> SimRecords:
        return SimRecords(self.world, monitors)

    def _assemble(self) -> None:
        world, monitors = self.world, Monitors(self.world)
        cloud = SimCloud(world)
        ports = WorkerPorts(
            self.new_records(monitors),
            self.reports,
            SimDispatcher(world, self.invoke),
            self.scheduler.clock,
            engine=SimEngine(world),
            cloud=cloud,
            health=cloud,
            inventory=SimInventory(world),
        )
        self.environments = EnvironmentService(ports, _LIFETIMES, _POLICY, self.scheduler.sleep)
        self.reconcilers = {host: Reconciler(ports, host, monitor=monitors.new) for host in _HOSTS}
        self.sweep = Sweep(ports, PLATFORM, PREFIX)

    def play(self) -> RunResult:
        """Play the scenario to its end, or to the first violation."""
        violation = None
        try:
            self.begin()
            self.scheduler.run(self.scenario.active_until)
            self.stop_faults()
            self.settle()
            self.deep_sweep_after(self.scenario.hard_limit)  # by then the place of a sweep that died is free
            self.deep_sweep_after(_DEEP_AFTER)
            self.world.checks.consistent()
            if self.scenario.removes_all:
                self.remove_all()
        except Violation as found:
            violation = (found.invariant, found.message)
        return self._result(violation)

    def begin(self) -> None:
        """Create what exists before, and schedule requests, manual actions and sweeps."""
        scenario = self.scenario
        create_bystander(self.world)
        for existing in scenario.existing:
            create_existing(self.world, existing)
        for request in scenario.requests:
            self.request(request)
        for action in scenario.manual_actions:
            self.scheduler.call(action.at, partial(self._act, action))
        for at in scenario.deep_sweeps:
            self.scheduler.call(at, partial(self.start_sweep, SweepKind.DEEP))
        self.scheduler.call(LIGHT_EVERY * self._rng.random(), self._light_schedule)

    def run_for(self, seconds: float) -> None:
        self.scheduler.run(self.world.now() + seconds)

    def stop_faults(self) -> None:
        """Nothing goes wrong from now on."""
        self.world.faults.stop()
        self._faults_stopped_at = self.world.now()
        remove_manual_locks(self.world)

    def settle(self, within: float = _SETTLES_WITHIN) -> None:
        """Let time pass until no actor is at work and nothing is left to do; `settled_at` is when that was so."""
        latest = self.world.now() + within
        while self.scheduler.busy or any(record.outstanding for record in self.world.records.values()):
            if self.world.now() > latest:
                left = [record.id for record in self.world.records.values() if record.outstanding]
                raise Violation("I1", f"after {within / 3600:.0f} hours without faults there still is work on {left}")
            self.run_for(60)
        self.settled_at = max(self.world.checks.last_write, self.settled_at)

    def deep_sweep_after(self, seconds: float) -> None:
        """Run a deep sweep after so long, and what follows from it. Raises Violation when it is not done."""
        before = self.reports.statuses[SweepStatus.DONE]
        self.run_for(seconds)
        self.start_sweep(SweepKind.DEEP)
        self.run_for(120)
        if self.reports.statuses[SweepStatus.DONE] == before:
            raise Violation("I3", f"a deep sweep without faults was not done: {dict(self.reports.statuses)}")
        self.settle()

    def remove_all(self) -> None:
        """Remove every environment by force. A removal that failed for good is requested again, as a person would."""
        for _ in range(3):
            for environment_id, record in self.world.records.items():
                if not record.destroyed:
                    self.request(Request(self.world.now(), "operator", "force", environment_id))
            self.run_for(5)
            self.settle()
        self.world.checks.nothing_left()

    def request(self, request: Request) -> None:
        """Start a caller with a request."""
        actor = self._actor(request.caller, "caller")
        actor.force = request.kind == "force"
        if self._faults_stopped_at is None and self.world.faults.hit("a caller dies"):
            self._plan_death(actor, within=3)
        self.scheduler.spawn(actor, request.at, partial(self._request, request), self._ended_caller)

    def invoke(self, environment_id: str, attempt: int = 0) -> None:
        """Start a worker. A failed invocation is tried again, as Lambda does."""
        limit, now = self.scenario.hard_limit, self.world.now()
        actor = self._actor("worker", "worker")
        faults, rng = self.world.faults, self._rng
        if not self.scenario.stale_workers:
            actor.deadline = now + limit
        elif rng.random() < 0.7:
            actor.stalls_at = rng.randrange(2, 30)
        if faults.hit("a worker dies at an effect"):
            self._plan_death(actor, within=25)
        if faults.hit("a worker dies at some moment"):
            actor.deadline = min(actor.deadline, now + limit * rng.random() ** 3)
        if faults.hit("a clock is wrong"):
            actor.skew = faults.between(-2, 2)
        actor.host = rng.choice(_HOSTS)
        reconciler = self.reconcilers[actor.host]
        self._spawn_invocation(
            actor,
            lambda: reconciler.run(environment_id, actor.name, self._limits()),
            partial(self.invoke, environment_id),
            attempt,
        )
        self.happened["invocations"] += 1

    def start_sweep(self, kind: SweepKind, attempt: int = 0) -> None:
        actor = self._actor(f"{kind} sweep", f"{kind} sweep")
        actor.deadline = self.world.now() + self.scenario.hard_limit
        if self.world.faults.hit("a sweep dies"):
            self._plan_death(actor, within=8)
        self._spawn_invocation(
            actor,
            lambda: self.sweep.run(actor.name, kind, self._limits(), dry_run=False, scheduled=True),
            partial(self.start_sweep, kind),
            attempt,
        )
        self.happened[f"{kind} sweeps"] += 1

    def plan_deaths(self, *deaths: Death) -> None:
        """Kill whichever actor does the first death's effect; from then on the next death's effect is counted."""
        self._planned_deaths = list(deaths)
        self._count_to_next_death()

    def _result(self, violation: tuple[str, str] | None) -> RunResult:
        world = self.world
        for record in world.records.values():
            failed = record.failed_permanently and record.failure
            ending = f"failed: {record.failure.code}" if failed and record.failure else str(record.status)
            self.happened[f"environments that ended {ending}"] += record.id != BYSTANDER
        counts = {
            "faults": world.faults.counts,
            "deaths": self.scheduler.deaths,
            "checks": world.checks.counts,
            "without_lease": world.checks.without_lease,
            "happened": self.happened,
        }
        return RunResult(
            self.scenario.seed,
            violation,
            tuple(world.history or ()),
            counts,
            tuple(world.checks.healings.all),
            max(world.apprunner.most.values(), default=0),
            world.now(),
        )

    def _limits(self) -> InvocationLimits:
        return InvocationLimits.of(
            self.scheduler.clock(),
            timedelta(seconds=self.scenario.hard_limit),
            stop_before=_STOP_BEFORE,
            lease_margin=_LEASE_MARGIN,
        )

    def _light_schedule(self) -> None:
        """The schedule of the light sweep. A sweep that would find nothing is not started."""
        now = self.world.now()
        if self._faults_stopped_at is not None and now > self._faults_stopped_at + _UNDISTURBED_AFTER:
            self.world.checks.taken_up_in_time(_SLACK)
        if any(due <= now for due in self.world.checks.due.values()):
            self.start_sweep(SweepKind.LIGHT)
        self.scheduler.call(now + LIGHT_EVERY, self._light_schedule)

    def _request(self, request: Request) -> None:
        caller, service, name = _CALLERS[request.caller], self.environments, request.environment
        ttl = UNSET if request.ttl is None else timedelta(seconds=request.ttl)
        body = EnvironmentRequest(Spec(request.image), ttl=ttl, protected=request.protected)
        adjustment = Adjustment(ttl=ttl, protected=request.protected)
        use_cases: dict[str, Callable[[], Environment]] = {
            "put": lambda: service.put(caller, name, body),
            "post": lambda: service.create(caller, name, body),
            "remove": lambda: service.remove(caller, name),
            "force": lambda: service.remove(caller, name, force=True),
            "pause": lambda: service.pause(caller, name),
            "resume": lambda: service.resume(caller, name),
            "revive": lambda: service.revive(caller, name),
            "patch": lambda: service.adjust(caller, name, adjustment),
        }
        environment = use_cases[request.kind]()
        self.happened["requests accepted"] += 1
        self.world.checks.request_accepted(environment)
        self.world.log(self.world.actor.name, f"  accepted: {request.kind} {name}")

    def _ended_caller(self, actor: Actor) -> None:
        self._check_error(actor)
        self.happened["requests refused or failed"] += actor.error is not None

    def _spawn_invocation(
        self, actor: Actor, run: Callable[[], object], again: Callable[..., None], attempt: int
    ) -> None:
        def ended(actor: Actor) -> None:
            self._check_error(actor)
            if isinstance(actor.process, Cli) and not actor.process.over:
                self._leave_process(actor, actor.process)
            if actor.error is None or isinstance(actor.error, LeaseLost):
                return
            self.happened["invocations that failed"] += 1
            if attempt < len(_RETRIES):
                self.scheduler.call(self.world.now() + _RETRIES[attempt], partial(again, attempt=attempt + 1))

        self.scheduler.spawn(actor, self.world.now(), run, ended)

    def _check_error(self, actor: Actor) -> None:
        if actor.error is not None:
            self.world.log(actor.name, "ended with", actor.error)
            if not isinstance(actor.error, (FibfactoryError, Killed)):
                self.world.checks.unexpected_error(actor, actor.error)

    def _leave_process(self, actor: Actor, process: Cli) -> None:
        """The CLI of a worker that died: it dies too, or goes on for a while within the lease."""
        by_chance = actor.cli_survives is None
        if not (self.world.faults.hit("the CLI outlives its worker") if by_chance else actor.cli_survives):
            process.end()
            return
        self.happened["CLIs that outlived their worker"] += 1
        now = self.world.now()
        survivor = self._actor("orphaned CLI", "CLI")
        survivor.environment, survivor.token = actor.environment, actor.token
        longest = max(actor.lease_until - now - 1, 0)
        survivor.deadline = now + (longest * self._rng.random() ** 2 if by_chance else longest)
        self.scheduler.spawn(survivor, now, lambda: drive(self.world, process, None), lambda _: process.end())

    def _plan_death(self, actor: Actor, within: int) -> None:
        actor.dies_at, actor.dies_after = self._rng.randrange(1, within), self._rng.random() < 0.5

    def _count_to_next_death(self) -> None:
        if self._planned_deaths:
            death = self._planned_deaths[0]
            self.scheduler.dies_at, self.scheduler.dies_after = self.scheduler.effects + death.effect, death.after
        else:
            self.scheduler.dies_at = 0

    def _died(self, actor: Actor, how: str) -> None:
        if self._planned_deaths and self.scheduler.effects == self.scheduler.dies_at:
            actor.cli_survives = self._planned_deaths.pop(0).cli_survives
            self._count_to_next_death()
        self.happened[f"deaths of a {actor.kind}"] += 1
        self.world.log(actor.name, f"  dies {how}")
        self.world.checks.died(actor)

    def _act(self, action: ManualAction) -> None:
        if self._faults_stopped_at is None and (done := act(self.world, action)):
            self.happened[done] += 1

    def _actor(self, name: str, kind: str) -> Actor:
        self._numbers[name] += 1
        return Actor(f"{name}-{self._numbers[name]}", kind)

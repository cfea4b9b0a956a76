"""What a seed stands for: who requests what and when, what exists before, what goes wrong, and how long an invocation may last.

The rule: a scenario is data, so it can be made smaller and played again, which is how a failing one is shrunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from orchestrator.domain.names import NO_PLATFORM
from tests.simulation.faults import swarm

BYSTANDER = "bystander"
"""A protected environment that exists in every run. Nothing may change it but the removal of everything at the end."""

PLATFORM = "simulated"
PREFIX = "fib-app"
IMAGE = "public.ecr.aws/simulated/app"


@dataclass(frozen=True)
class Request:
    """One request of one caller."""

    at: float
    caller: str
    kind: str
    environment: str
    image: str = f"{IMAGE}:v1"
    ttl: float | None = None
    protected: bool | None = None


@dataclass(frozen=True)
class ManualAction:
    """What a person does by hand: `lock` a stack for some seconds, or `delete`, `pause` or `resume` a service."""

    at: float
    kind: str
    environment: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Existing:
    """What exists under an environment's name before the run, tagged for a platform: ours, another's, or none."""

    environment: str
    platform: str = PLATFORM
    service: bool = True
    stack: bool = True

    @property
    def foreign(self) -> bool:
        return self.platform != PLATFORM


@dataclass(frozen=True)
class Scenario:
    """Times are seconds of virtual time; `rates` are those of `faults`."""

    seed: int
    requests: tuple[Request, ...]
    manual_actions: tuple[ManualAction, ...] = ()
    existing: tuple[Existing, ...] = ()
    deep_sweeps: tuple[float, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    hard_limit: float = 900.0
    active_until: float = 1800.0
    """Until then, requests come and things go wrong."""
    removes_all: bool = True
    stale_workers: bool = False
    """Workers outlive their hard limit: one stands still for longer than its lease and then goes on."""


def any_scenario(seed: int) -> Scenario:
    """Anything may happen."""
    rng = Random(seed * 4)
    rates = swarm(rng)
    ids = ["alpha", "beta"][: 1 if rng.random() < 0.7 else 2]
    requests: list[Request] = []
    for environment_id in ids:
        at = 60 * rng.random()
        requests.append(_put(rng, at, environment_id))
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
            at += rng.expovariate(1 / 240)
            requests.append(_request(rng, at, environment_id))
    last = max(request.at for request in requests)
    return Scenario(
        seed,
        tuple(sorted(requests, key=lambda request: request.at)),
        tuple(_manual_actions(rng, rates, ids, last + 600)),
        tuple(_existing(rng, ids)),
        (last * rng.random(),) if rng.random() < 0.15 else (),
        rates,
        rng.choice((900.0, 900.0, 900.0, 420.0, 180.0)),
        last + 900 * rng.random(),
        removes_all=rng.random() < 0.4,
    )


def delivery_scenario(seed: int) -> Scenario:
    """The requests of a seed; only requests for workers are lost, doubled and late, and so overtaken."""
    rates = {"an invocation is lost": 0.3, "an invocation is doubled": 0.4, "an invocation is late": 0.4}
    return replace(any_scenario(seed), rates=rates, existing=(), manual_actions=(), deep_sweeps=())


def stale_worker_scenario(seed: int) -> Scenario:
    """The requests of a seed, with workers that stand still for longer than their lease and then go on.

    Lambda does kill a worker at its hard limit. Here it goes on, so the table alone has to refuse what such a worker writes.
    App Runner and the state bucket know no token and can't refuse anything: those changes are counted.
    """
    rates = {"an invocation is doubled": 0.3, "an invocation is late": 0.2, "a clock is wrong": 0.3}
    return replace(
        any_scenario(seed),
        rates=rates,
        existing=(),
        manual_actions=(),
        deep_sweeps=(),
        hard_limit=300.0,
        stale_workers=True,
        removes_all=False,
    )


def lock_scenario(seed: int) -> Scenario:
    """The requests of a seed, with workers that often die, and a person who locks the stack meanwhile."""
    lock = ManualAction(60.0 + seed, "lock", "alpha", 1500.0)
    return replace(any_scenario(seed), rates={"a worker dies at an effect": 0.8}, manual_actions=(lock,))


SCENARIOS: Mapping[str, Callable[[int], Scenario]] = {
    "any": any_scenario,
    "deliveries": delivery_scenario,
    "stale-writes": stale_worker_scenario,
    "locks": lock_scenario,
}
"""The kinds of scenarios, as the commands name them."""

_KINDS = ("put", "put", "put", "put", "remove", "remove", "pause", "resume", "force", "patch", "post", "revive")


def _request(rng: Random, at: float, environment_id: str) -> Request:
    kind = rng.choice(_KINDS)
    if kind == "put":
        return _put(rng, at, environment_id)
    if kind == "post":
        return replace(_put(rng, at, environment_id), kind=kind, ttl=None, protected=None)
    if kind == "patch":
        return Request(
            at, _caller(rng), kind, environment_id, ttl=rng.choice((600.0, 7200.0)), protected=rng.random() < 0.4
        )
    return Request(at, _caller(rng), kind, environment_id)


def _put(rng: Random, at: float, environment_id: str) -> Request:
    kind = rng.random()
    tag = ("bad" if kind < 0.05 else "sick" if kind < 0.1 else "v") + str(rng.randrange(1, 4))
    ttl = rng.choice((900.0, 3600.0)) if rng.random() < 0.2 else None
    protected = True if rng.random() < 0.1 else None
    return Request(at, _caller(rng), "put", environment_id, f"{IMAGE}:{tag}", ttl, protected)


def _caller(rng: Random) -> str:
    return "alice" if rng.random() < 0.6 else "operator"


def _manual_actions(rng: Random, rates: Mapping[str, float], ids: list[str], until: float) -> list[ManualAction]:
    actions = []
    if rng.random() < rates.get("a person locks a stack", 0):
        actions.append(ManualAction(until * rng.random(), "lock", rng.choice(ids), 60 + 900 * rng.random()))
    if rng.random() < rates.get("a person changes a service", 0):
        actions.append(ManualAction(until * rng.random(), rng.choice(("delete", "pause", "resume")), rng.choice(ids)))
    return actions


def _existing(rng: Random, ids: list[str]) -> list[Existing]:
    found = []
    if rng.random() < 0.2:
        foreign = (
            Existing("gamma", "another", stack=False),
            Existing("gamma", NO_PLATFORM, stack=False),
            Existing("gamma", "another", service=False),
        )
        found.append(rng.choice(foreign))
    if rng.random() < 0.03:
        found.append(Existing(rng.choice(ids), "another", stack=False))
    if rng.random() < 0.1:
        found.append(rng.choice((Existing("delta", stack=False), Existing("delta", service=False), Existing("delta"))))
    return found

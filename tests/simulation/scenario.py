"""What a seed stands for: who asks for what and when, what stands around, what goes wrong, and how long an invocation may last.

The rule: a scenario is data. It can be made smaller and played again, which is how a failing one is shrunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.simulation.faults import swarm

BYSTANDER = "bystander"
"""A protected environment that stands in every run, and that nothing may ever change but the last removal of all."""

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
class Act:
    """What a person does by hand, beside all this."""

    at: float
    kind: str
    environment: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """`furniture`: kind and environment of what stands there from the start."""

    seed: int
    requests: tuple[Request, ...]
    acts: tuple[Act, ...] = ()
    furniture: tuple[tuple[str, str], ...] = ()
    deep_sweeps: tuple[float, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    hard_limit: float = 900.0
    active_until: float = 1800.0
    removes_all: bool = True
    zombies: bool = False
    """Workers outlive their hard limit: one stands still for long and then goes on."""


_KINDS = ("put", "put", "put", "put", "remove", "remove", "pause", "resume", "force", "patch", "post", "revive")


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed: any of everything."""
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
        tuple(_acts(rng, rates, ids, last + 600)),
        tuple(_furniture(rng, ids)),
        (last * rng.random(),) if rng.random() < 0.15 else (),
        rates,
        rng.choice((900.0, 900.0, 900.0, 420.0, 180.0)),
        last + 900 * rng.random(),
        removes_all=rng.random() < 0.4,
    )


def _request(rng: Random, at: float, environment_id: str) -> Request:
    kind = rng.choice(_KINDS)
    if kind in ("put", "post"):
        request = _put(rng, at, environment_id)
        return request if kind == "put" else Request(at, request.caller, "post", environment_id, request.image)
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


def _acts(rng: Random, rates: Mapping[str, float], ids: list[str], until: float) -> list[Act]:
    acts = []
    if rng.random() < rates.get("somebody locks a stack", 0):
        acts.append(Act(until * rng.random(), "lock", rng.choice(ids), 60 + 900 * rng.random()))
    if rng.random() < rates.get("somebody changes a service", 0):
        acts.append(Act(until * rng.random(), rng.choice(("delete", "pause", "resume")), rng.choice(ids)))
    return acts


def _furniture(rng: Random, ids: list[str]) -> list[tuple[str, str]]:
    things = []
    if rng.random() < 0.2:
        things.append((rng.choice(("another's service", "nobody's service", "another's stack")), "gamma"))
    if rng.random() < 0.03:
        things.append(("another's service", rng.choice(ids)))
    if rng.random() < 0.1:
        things.append((rng.choice(("orphan service", "orphan stack", "orphan")), "delta"))
    return things

"""What the orchestrator needs from outside, as protocols. Adapters implement them, `wiring` puts them together.

The rule: ports use our own words. Their methods raise the errors of `domain.errors`, never a vendor's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.events import Event
from orchestrator.domain.sweeps import SweepReport

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a listing, and the cursor of the next page; None on the last one."""

    items: Sequence[T]
    cursor: str | None = None


class Records(Protocol):
    """The table of environments."""

    def get(self, environment_id: str) -> Environment | None:
        """The record as last written (a consistent read), tombstones included."""

    def write(self, before: Environment | None, after: Environment, *events: Event) -> None:
        """Write `after` and the events if the record still is `before`, or there still is none (None).

        Otherwise nothing is written. Raises VersionConflict then. A tombstone is kept beside the next incarnation.
        """

    def note(self, environment: Environment, event: Event) -> None:
        """Add an event under this record's lease. Raises LeaseLost if another token holds it, Transient if the table is busy."""

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        """This incarnation's events, oldest first. To follow them, ask again with the page's cursor."""

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        """Records of one owner, or of all (None), in the order of the statuses given, then by creation."""

    def count_active(self, owner: str, most: int) -> int:
        """How many environments of this owner are not destroyed; stops counting at `most`. The index lags."""

    def due(self, now: datetime) -> Iterable[str]:
        """The ids of records whose `due_at` has come, earliest first in each shard. The index lags: read the records again."""


class Reports(Protocol):
    """The reports of sweeps, and what a sweep remembers for the next one."""

    def write(self, report: SweepReport) -> None: ...

    def read(self, sweep_id: str) -> SweepReport | None: ...

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        """Take the single place for a running deep sweep; False while another sweep has it."""

    def release(self, sweep_id: str) -> None: ...

    def suspects(self) -> Mapping[str, datetime]:
        """The environments that the last deep sweep found without a record, and when each was first found so."""

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        """Remember these suspects, and no others, for the next deep sweep."""


class Dispatcher(Protocol):
    """Asks for workers. A request may be lost or doubled: the record says what is desired, and the sweep asks again."""

    def work(self, environment_id: str) -> None: ...

    def sweep(self, sweep_id: str) -> None:
        """Ask for a sweep. Raises Transient when refused, as nothing asks for it again."""


class StopSignal(threading.Event):
    """Tells a running operation to stop gracefully: once it is set, or once `seconds` are over, by the monotonic clock.

    `grace` is how many seconds the operation has before a firmer signal; three times that fits before the hard limit.
    """

    def __init__(self, grace: float, seconds: float = threading.TIMEOUT_MAX) -> None:
        super().__init__()
        self.grace = grace
        self._deadline = time.monotonic() + seconds

    def is_set(self) -> bool:
        return super().is_set() or time.monotonic() >= self._deadline

    def wait(self, timeout: float | None = None) -> bool:
        left = max(self._deadline - time.monotonic(), 0.0)
        super().wait(left if timeout is None else min(timeout, left))
        return self.is_set()


Progress = Callable[[str], None]
"""Takes one line about what an operation is doing."""


@dataclass(frozen=True)
class Deployed:
    """What the template stack exported."""

    url: str


@dataclass(frozen=True)
class Lock:
    """A lock of the engine on one stack: where it is kept, since when, and by whom (`user@host, process 7`)."""

    key: str
    at: datetime
    by: str
    host: str = ""


@dataclass(frozen=True)
class PendingCreate:
    """A resource that the engine began to create without learning the outcome; it may exist or not.

    `main` marks the environment's own service, which the cloud can look up by name.
    """

    urn: str
    type: str
    main: bool = False


class Engine(Protocol):
    """Deploys an environment's stack, or removes it. Operations raise Interrupted, Transient or Terminal."""

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        """Bring the stack to the record's spec. `new`: the stack may not exist yet; `refresh`: read the cloud first."""

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        """Remove all resources and the stack; a missing stack is no error. `refresh`: read the cloud first."""

    def locks(self, environment: Environment) -> Sequence[Lock]:
        """The engine's own locks on the environment's stack."""

    def break_lock(self, lock: Lock) -> None:
        """Remove one lock. The caller knows that its holder is dead."""

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        """The pending creates in the stack's state; none when there is no such stack."""

    def knows(self, environment: Environment, arn: str) -> bool:
        """Whether a resource of the stack's state has this ARN, so that the engine changes and removes it."""

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        """Drop all pending creates from the state. The caller has checked that none of them exists."""


@dataclass(frozen=True)
class Service:
    """An environment's service as the cloud describes it; with its newest operation, unless one is in progress."""

    arn: str
    status: str
    image: str
    last_operation: str | None = None
    operation_id: str | None = None

    @property
    def busy(self) -> bool:
        return self.status == "OPERATION_IN_PROGRESS"

    @property
    def paused(self) -> bool:
        return self.status == "PAUSED"

    @property
    def broken(self) -> bool:
        """It can only be deleted, not updated; until then it counts against the quota."""
        return self.status in ("CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class Verification:
    """An independent check for leftovers: what was checked, what was still found, and what the check cannot see."""

    checked: tuple[str, ...]
    found: tuple[str, ...]
    cannot_see: tuple[str, ...]


class Cloud(Protocol):
    """The cloud, seen without the engine."""

    def service(self, environment: Environment) -> Service | None:
        """The environment's live service, found by its name and our tags."""

    def remove_leftover(self, environment: Environment, service: Service) -> None:
        """Begin to delete a service that the engine does not know. It came from this port, so it has our name and tags."""

    def pause(self, service: Service) -> None:
        """Begin to pause a running service."""

    def resume(self, service: Service) -> None:
        """Begin to resume a paused service."""

    def digest(self, image: str) -> str | None:
        """The digest that an image's name means now (`sha256:…`), or None where the registry can't be asked."""

    def verify_absent(self, environment: Environment) -> Verification:
        """Look for anything that is left of this environment."""


class Health(Protocol):
    def answers(self, url: str) -> str | None:
        """None when a GET of the URL answers 200 without a redirect; otherwise what happened instead, in a few words."""


@dataclass(frozen=True)
class FoundService:
    """A live service that has the name of an environment's, or our platform's tag. `tags` is None if they can't be read."""

    arn: str
    name: str
    status: str
    created_at: datetime
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class FoundStack:
    """A stack of our project in the state bucket, with the time of its checkpoint.

    `tags` are those that its provider gives to everything it makes; None if no resource in it has any.
    """

    name: str
    changed_at: datetime
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class FoundResource:
    """A resource with our platform's tag that is no service."""

    arn: str
    tags: Mapping[str, str]


class Inventory(Protocol):
    """All that exists, whatever the records say. Raises Transient or Terminal rather than leave anything out."""

    def services(self) -> Sequence[FoundService]: ...

    def stacks(self) -> Sequence[FoundStack]: ...

    def resources(self) -> Sequence[FoundResource]: ...

    def is_alive(self, service_arn: str) -> bool:
        """Whether this service exists, asked for by itself; also True where that can't be told."""


@dataclass(frozen=True)
class Ports:
    """What both functions need."""

    records: Records
    reports: Reports
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    """The time now, in UTC."""


@dataclass(frozen=True)
class SweepPorts(Ports):
    """What sweeps need as well."""

    inventory: Inventory


@dataclass(frozen=True)
class WorkerPorts(SweepPorts):
    """What workers need as well."""

    engine: Engine
    cloud: Cloud
    health: Health

"""What the orchestrator needs of the world, as protocols; adapters implement them and `wiring` puts them together.

The rule: these speak our words only. A method raises our errors (`errors`), never a vendor's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from orchestrator.domain.environment import Environment, Status

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that happened to an environment; `data` is small and holds no secrets."""

    at: datetime
    kind: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a listing, and where the next page starts (None: this was the last)."""

    items: Sequence[T]
    cursor: str | None = None


class Records(Protocol):
    """The table of environments."""

    def get(self, environment_id: str) -> Environment | None:
        """The record as last written (a consistent read), tombstones included."""

    def add(self, environment: Environment, event: Event) -> None:
        """Write a record for an id that has none. Raises VersionConflict when it has."""

    def replace(self, before: Environment, after: Environment, *events: Event) -> None:
        """Write `after` if the record still is `before`, with the events, or write nothing and raise VersionConflict."""

    def reuse(self, tombstone: Environment, after: Environment, event: Event) -> None:
        """The same, and keep the tombstone beside the new incarnation."""

    def note(self, environment: Environment, event: Event) -> None:
        """Add an event under this record's lease. Raises LeaseLost when another token holds it by now, Transient when busy."""

    def events(self, environment: Environment, cursor: str | None, limit: int) -> Page[Event]:
        """This incarnation's events, oldest first. The cursor follows: it is set whenever there was anything to read."""

    def listing(
        self, owner: str | None, statuses: Sequence[Status], labels: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Environment]:
        """Records of one owner, or of all (None), in the order of the statuses given, then by creation."""

    def count_active(self, owner: str, most: int) -> int:
        """How many environments of this owner are not gone; counts up to `most`. The index lags."""

    def due(self, now: datetime) -> Iterable[str]:
        """The ids of the records whose `due_at` has come, earliest first in each shard. The index lags: read them again."""


class Reports(Protocol):
    """What sweeps planned and did."""

    def write(self, sweep_id: str, report: Mapping[str, Any]) -> None: ...

    def read(self, sweep_id: str) -> Mapping[str, Any] | None: ...

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        """Take the one place for a running sweep; False while another has it."""

    def release(self, sweep_id: str) -> None: ...

    def suspects(self) -> Mapping[str, datetime]:
        """What the last deep sweep found without a record: environment ids, and when each was first found so."""

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        """Remember these, and no others, for the next deep sweep."""


class Dispatcher(Protocol):
    """Asks for workers. Asking may be lost or doubled: the record says what is wanted, and the sweep asks again."""

    def work(self, environment_id: str) -> None: ...

    def sweep(self, sweep_id: str) -> None:
        """Ask for a sweep. Nobody asks again for it, so a refusal is raised as Transient."""


class StopSignal(threading.Event):
    """Tells a running operation to stop in order.

    `grace` is how many seconds the operation has before a firmer signal; three times that fits before the hard limit.
    """

    def __init__(self, grace: float) -> None:
        super().__init__()
        self.grace = grace


Progress = Callable[[str], None]
"""Takes one line about what an operation is doing."""


@dataclass(frozen=True)
class Deployed:
    """What the template stack exported."""

    url: str


@dataclass(frozen=True)
class Lock:
    """A lock of the engine's own on one stack: where it is kept, when it was taken, by whom (`user@host, process 7`)."""

    key: str
    at: datetime
    by: str
    host: str = ""


@dataclass(frozen=True)
class PendingCreate:
    """A resource that the engine began to make and never learned the end of; it may or may not be there.

    `main`: it is the environment's own service, which the cloud can look up by name.
    """

    urn: str
    type: str
    main: bool = False


class Engine(Protocol):
    """Makes an environment's stack true, or removes it."""

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        """Bring the stack up to the record's spec. `new`: it may not exist yet; `refresh`: look at the cloud first.

        Raises Interrupted, Transient or Terminal.
        """

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        """Remove all resources and the stack; nothing to do is no error. `refresh`: look at the cloud first.

        Raises Interrupted, Transient or Terminal.
        """

    def locks(self, environment: Environment) -> Sequence[Lock]:
        """The engine's own locks on the environment's stack."""

    def break_lock(self, lock: Lock) -> None:
        """Remove one lock. The caller knows that its holder is dead."""

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        """What the stack's state says was begun to be made; none when there is no such stack."""

    def knows(self, environment: Environment, arn: str) -> bool:
        """Whether a resource of the stack's state has this ARN, so that it is the engine's to change and to remove."""

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        """Drop all of them from the state. The caller has seen that none of them is there.

        Raises Interrupted, Transient or Terminal.
        """


@dataclass(frozen=True)
class Service:
    """An environment's service as the cloud tells it, with its newest operation's status and id once nothing is in progress."""

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
        """It can't be updated any more, only deleted; and it counts against the quota."""
        return self.status in ("CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class Verification:
    """An independent look: what was looked at, what of ours was still found, and what this look can't see."""

    checked: tuple[str, ...]
    found: tuple[str, ...]
    cannot_see: tuple[str, ...]


class Cloud(Protocol):
    """The cloud seen without the engine."""

    def service(self, environment: Environment) -> Service | None:
        """The environment's live service, found by its name and our tags."""

    def remove_leftover(self, environment: Environment, service: Service) -> None:
        """Begin to delete a service that the engine forgot. `service` came from this port, so it carries our name and tags."""

    def pause(self, service: Service) -> None:
        """Begin to pause a running service."""

    def resume(self, service: Service) -> None:
        """Begin to let a paused service run again."""

    def digest(self, image: str) -> str | None:
        """Which image a name means right now (`sha256:…`), or None where the registry can't be asked."""

    def verify_absent(self, environment: Environment) -> Verification:
        """Look for anything of this environment that is left."""


class Health(Protocol):
    def answers(self, url: str) -> str | None:
        """None when a GET of the URL answers 200 without a redirect, else what it did instead, in a few words."""


@dataclass(frozen=True)
class FoundService:
    """A live service whose name looks like an environment's, or that carries our platform's tag.

    `tags` None: they could not be read.
    """

    arn: str
    name: str
    status: str
    created_at: datetime
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class FoundStack:
    """A stack of our project in the state bucket. `tags` are those that its own provider gives to all it makes.

    None: no resource in it says whose it is. `changed_at` is its checkpoint's.
    """

    name: str
    changed_at: datetime
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class FoundResource:
    """Anything but a service that the tagging API shows with our platform's tag."""

    arn: str
    tags: Mapping[str, str]


class Inventory(Protocol):
    """All that exists, whatever the records say. Raises Transient or Terminal rather than leave anything out."""

    def services(self) -> Sequence[FoundService]: ...

    def stacks(self) -> Sequence[FoundStack]: ...

    def resources(self) -> Sequence[FoundResource]: ...

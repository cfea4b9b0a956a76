"""Where the records and the cloud disagree: each finding, and what may be done about it.

The rule: pure, and unknown means keep. Something is ours (this platform's) only if its whole name, the platform's tag and an
environment's tag agree. All under an environment's name must be ours before any of it is removed; nothing protected is touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, Terminal
from orchestrator.domain.sweeps import Action, Finding, FindingKind
from orchestrator.ports import FoundResource, FoundService, FoundStack

LEAST_AGE = timedelta(hours=1)
"""How old an orphan must be, and how long ago first seen, before it is removed."""

MAX_REMOVAL_RETRIES = 3
"""How often a removal that failed for good is tried again before it is left to an operator."""

_BUSY = "OPERATION_IN_PROGRESS"
"""The status of a service that is being changed right now: the next sweep sees the result."""

NO_OWNER = "nobody"
"""The owner of an orphan whose tags name none: only operators see it."""


@dataclass(frozen=True)
class CloudSnapshot:
    """What the cloud held, and when reading it began: the record as it was before that moment should agree with it."""

    began: datetime
    services: Sequence[FoundService]
    stacks: Sequence[FoundStack]
    resources: Sequence[FoundResource]

    def environments(self, prefix: str) -> set[str]:
        """The ids that anything here has in its name or tags, also in other platforms' tags."""
        found = {names.id_of_service(prefix, service.name) for service in self.services}
        found |= {names.id_of_stack(stack.name) for stack in self.stacks}
        found |= {_tagged_id(service.tags or {}) for service in self.services}
        found |= {_tagged_id(resource.tags) for resource in self.resources}
        return {environment_id for environment_id in found if environment_id}

    def without(self, ids: Collection[str], prefix: str) -> CloudSnapshot:
        """The same without anything under these environments' names or tags."""

        def kept(*found: str | None) -> bool:
            return not {*found} & {*ids}

        return CloudSnapshot(
            self.began,
            [
                each
                for each in self.services
                if kept(names.id_of_service(prefix, each.name), _tagged_id(each.tags or {}))
            ],
            [each for each in self.stacks if kept(names.id_of_stack(each.name))],
            [each for each in self.resources if kept(_tagged_id(each.tags))],
        )


class _Claim(StrEnum):
    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Item:
    """A service or a stack under an environment's name. A stack has no status."""

    label: str
    claim: _Claim
    tags: Mapping[str, str]
    since: datetime
    status: str | None = None

    @property
    def is_service(self) -> bool:
        return self.status is not None


class Comparison:
    """A snapshot of the cloud compared with the records that were read after it, tombstones included.

    `suspects` are the environments that the last deep sweep found without a record, and when each was first found so. After the
    comparison, the attribute `suspects` holds those of this one, and `owners` the owner of each.
    """

    def __init__(
        self,
        platform: str,
        prefix: str,
        snapshot: CloudSnapshot,
        records: Mapping[str, Environment],
        suspects: Mapping[str, datetime],
    ) -> None:
        self._platform = platform
        self._prefix = prefix
        self._snapshot = snapshot
        self._suspects_before = suspects
        self.records = records
        self.suspects: dict[str, datetime] = {}
        self.owners: dict[str, str] = {}
        self._items = self._grouped()
        self.findings: tuple[Finding, ...] = tuple(self._found())

    @property
    def environments(self) -> frozenset[str]:
        """The environments that anything of ours in the cloud belongs to."""
        with_items = {
            environment_id
            for environment_id, items in self._items.items()
            if any(item.claim is _Claim.OURS for item in items)
        }
        return frozenset(with_items | {tagged for _, tagged in self._other_resources() if tagged})

    def check_plausible(self, is_alive: Callable[[str], bool], *, any_record: bool) -> None:
        """Raises Terminal `implausible` when one side is empty and the other is not: then the reading itself went wrong.

        `is_alive` says of a service's ARN whether it exists: if each recorded one is gone, the list without any is right.
        """
        expected = self._expected()
        for what, services in (("service", True), ("stack", False)):
            if expected and not self._any_possibly_ours(services) and not (services and _all_gone(expected, is_alive)):
                raise Terminal(
                    f"{len(expected)} records say that an environment is ready, and the cloud shows no {what} of this platform. "
                    "That can't be right, so nothing was done. Check that the worker's role, region, prefix and state bucket are "
                    "unchanged.",
                    ErrorCode.IMPLAUSIBLE,
                )
        if self.environments and not any_record:
            raise Terminal(
                f"The cloud holds {len(self.environments)} environments of this platform, and the table has no record, not even "
                "a tombstone. That can't be right, so nothing was done. Check the table's name, or restore the table.",
                ErrorCode.IMPLAUSIBLE,
            )

    def too_many(self) -> str | None:
        """Why so much would be removed or restored that nothing is done; None when the number is acceptable."""
        for action, what, base in (
            (Action.REMOVE, "orphans to remove", len(self.environments)),
            (Action.RESTORE, "environments to restore", len(self._expected())),
        ):
            count, most = sum(finding.action is action for finding in self.findings), cap(base)
            if count > most:
                return f"{count} {what} among {base} environments are more than the {most} that one sweep may touch"
        return None

    def _found(self) -> Iterator[Finding]:
        for environment_id, items in sorted(self._items.items()):
            record = self.records.get(environment_id)
            yield from self._not_ours(environment_id, items, record)
            if self._without_record(record) and any(item.claim is _Claim.OURS for item in items):
                yield self._orphan(environment_id, items, record)
        yield from self._orphan_resources()
        for _, record in sorted(self.records.items()):
            if not record.destroyed:
                yield from self._of_record(record, self._items.get(record.id, []))

    def _not_ours(self, environment_id: str, items: Sequence[_Item], record: Environment | None) -> Iterator[Finding]:
        for item in items:
            if item.claim is _Claim.FOREIGN:
                because = f"{item.label} has a name of this platform, but not its tags: it has {_shown(item.tags)}"
                yield Finding(FindingKind.FOREIGN, Action.KEEP, environment_id, because)
            # A stack in which nothing was made yet has no tags; if it has a record, that is normal.
            elif item.claim is _Claim.UNKNOWN and (item.is_service or self._without_record(record)):
                because = f"{item.label} has a name of this platform, but its tags can't be read or are missing"
                yield Finding(FindingKind.UNKNOWN, Action.KEEP, environment_id, because)

    def _orphan(self, environment_id: str, items: Sequence[_Item], tombstone: Environment | None) -> Finding:
        ours = [item for item in items if item.claim is _Claim.OURS]
        kind = FindingKind.ORPHAN_SERVICE if any(item.is_service for item in ours) else FindingKind.ORPHAN_STACK
        what = " and ".join(item.label for item in ours)
        if len(ours) < len(items):
            because = f"no record accounts for {what}, but something else under its name may belong to others"
            return Finding(kind, Action.KEEP, environment_id, because)
        first_seen = self._first_seen(environment_id, ours, tombstone)
        ripe = all(
            moment + LEAST_AGE <= self._snapshot.began for moment in (first_seen, *(each.since for each in ours))
        )
        self.suspects[environment_id] = first_seen
        self.owners[environment_id] = _owner(ours, tombstone)
        because = f"no record accounts for {what}, first seen so at {first_seen.isoformat(timespec='seconds')}"
        return Finding(kind, Action.REMOVE if ripe else Action.SUSPECT, environment_id, because)

    def _first_seen(self, environment_id: str, ours: Sequence[_Item], tombstone: Environment | None) -> datetime:
        """Since when it is suspected. Anything newer than that, or than its last receipt, is another thing: first seen now."""
        first_seen = self._suspects_before.get(environment_id, self._snapshot.began)
        newest = max(item.since for item in ours)
        if tombstone and tombstone.receipt:
            newest = max(newest, tombstone.receipt.at)
        return first_seen if newest <= first_seen <= self._snapshot.began else self._snapshot.began

    def _orphan_resources(self) -> Iterator[Finding]:
        for arn, environment_id in self._other_resources():
            items = self._items.get(environment_id or "", [])
            goes_with_stack = any(item.claim is _Claim.OURS and not item.is_service for item in items)
            if environment_id is None:
                because = f"{arn} has our platform's tag, and its environment's tag is no valid id"
                yield Finding(FindingKind.FOREIGN, Action.KEEP, None, because)
            elif self._without_record(self.records.get(environment_id)) and not goes_with_stack:
                because = f"{arn} has our tags, but neither a record nor a stack that would remove it"
                yield Finding(FindingKind.ORPHAN_RESOURCE, Action.KEEP, environment_id, because)

    def _of_record(self, record: Environment, items: Sequence[_Item]) -> Iterator[Finding]:
        if not record.present and record.failed_permanently and record.failure:
            retries, why = f"{record.removal_retries} of {MAX_REMOVAL_RETRIES} retries", record.failure.message
            if record.removal_retries < MAX_REMOVAL_RETRIES:
                because = f"its removal failed for good after {retries}: {why}"
                yield _about(record, FindingKind.UNFINISHED_REMOVAL, Action.RETRY_REMOVAL, because)
            else:
                because = f"its removal failed for good, and {retries} by the sweep did not help: {why}"
                yield _about(record, FindingKind.QUARANTINED, Action.KEEP, because)
        if not self._should_agree(record):
            return
        services = [item for item in items if item.is_service]
        if not services:
            because = f"it should be {record.status}, and there is no service of its name"
            yield _about(record, FindingKind.MISSING_SERVICE, Action.RESTORE, because)
        for service in services:
            desired = "PAUSED" if record.paused else "RUNNING"
            if service.claim is _Claim.OURS and service.status not in (desired, _BUSY):
                because = f"it should be {record.status}, and {service.label} is {service.status}"
                yield _about(record, FindingKind.DRIFTED, Action.RESTORE, because)
            if service.claim is _Claim.OURS and len(services) == len(items):
                because = f"{service.label} runs without a stack; it will be removed by its name and tags"
                yield _about(record, FindingKind.MISSING_STACK, Action.KEEP, because)

    def _should_agree(self, record: Environment) -> bool:
        """Whether the cloud must show this environment: it was as desired before the reading began, and no worker holds it."""
        began = self._snapshot.began
        before = record.observed.at is not None and record.observed.at < began
        expired = record.expired(began)  # it is about to be removed, and not restored before that
        return record.present and record.settled and before and not expired and record.lease_free(began)

    def _expected(self) -> Sequence[Environment]:
        return [record for record in self.records.values() if not record.destroyed and self._should_agree(record)]

    def _without_record(self, record: Environment | None) -> bool:
        """Whether no record accounts for what was found. One that was destroyed during the reading still did."""
        return record is None or (record.receipt is not None and record.receipt.at < self._snapshot.began)

    def _any_possibly_ours(self, services: bool) -> bool:
        items = [item for group in self._items.values() for item in group if item.is_service is services]
        return any(item.claim is not _Claim.FOREIGN for item in items)

    def _grouped(self) -> Mapping[str, list[_Item]]:
        """The services and stacks under each environment's name."""
        items: dict[str, list[_Item]] = defaultdict(list)
        for service in self._snapshot.services:
            environment_id = names.id_of_service(self._prefix, service.name)
            if environment_id:
                claim, label = self._claim(environment_id, service.tags), f"service {service.name}"
                items[environment_id].append(
                    _Item(label, claim, service.tags or {}, service.created_at, service.status)
                )
        for stack in self._snapshot.stacks:
            environment_id = names.id_of_stack(stack.name)
            if environment_id:
                claim, label = self._claim(environment_id, stack.tags), f"stack {stack.name}"
                items[environment_id].append(_Item(label, claim, stack.tags or {}, stack.changed_at))
        return dict(items)

    def _other_resources(self) -> Sequence[tuple[str, str | None]]:
        """The ARNs of everything else with our platform's tag and an environment's, with the environment if its id is valid.

        A resource without an environment's tag belongs to the platform itself. A service whose name is no environment's counts as
        any other resource.
        """
        found = {resource.arn: resource.tags for resource in self._snapshot.resources}
        for service in self._snapshot.services:
            if names.id_of_service(self._prefix, service.name):
                found.pop(service.arn, None)
            else:
                found[service.arn] = service.tags or {}
        return [
            (arn, _tagged_id(tags))
            for arn, tags in sorted(found.items())
            if names.TAG_ENVIRONMENT in tags and tags.get(names.TAG_PLATFORM) == self._platform
        ]

    def _claim(self, environment_id: str, tags: Mapping[str, str] | None) -> _Claim:
        if tags is None:
            return _Claim.UNKNOWN
        platform, environment = tags.get(names.TAG_PLATFORM), tags.get(names.TAG_ENVIRONMENT)
        ours = platform == self._platform != names.NO_PLATFORM and environment == environment_id
        return _Claim.OURS if ours else _Claim.FOREIGN


def cap(environments: int) -> int:
    """How many of this number of environments one sweep may touch by inference: ten, or three in ten."""
    return max(10, environments * 3 // 10)


def _about(record: Environment, kind: FindingKind, action: Action, because: str) -> Finding:
    if record.present and record.protected and action is not Action.KEEP:
        return Finding(
            kind,
            Action.KEEP,
            record.id,
            f"{because}; as it is protected, only a request changes it: a PUT with another revision deploys it again",
        )
    return Finding(kind, action, record.id, because)


def _all_gone(records: Sequence[Environment], is_alive: Callable[[str], bool]) -> bool:
    arns = (record.observed.service_arn for record in records)
    return all(arn is not None and not is_alive(arn) for arn in arns)


def _tagged_id(tags: Mapping[str, str]) -> str | None:
    """The environment that the tags name, if it is a valid id."""
    return names.id_of_stack(names.stack_name(tags.get(names.TAG_ENVIRONMENT, "")))


def _owner(ours: Sequence[_Item], tombstone: Environment | None) -> str:
    """The owner in the tags; the tombstone's owner if the tags have none, or only the beginning of that owner."""
    tagged = next((item.tags[names.TAG_OWNER] for item in ours if item.tags.get(names.TAG_OWNER)), None)
    if tombstone and tagged in (None, names.owner_tag(tombstone.owner)):
        return tombstone.owner
    return tagged or NO_OWNER


def _shown(tags: Mapping[str, str]) -> str:
    ours = {name: value for name, value in sorted(tags.items()) if name in (names.TAG_PLATFORM, names.TAG_ENVIRONMENT)}
    return ", ".join(f"{name}={value}" for name, value in ours.items()) or "none"

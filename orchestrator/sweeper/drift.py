"""What the records and the cloud disagree about: each disagreement by its name, and what may be done about it.

The rule: pure, and unknown means keep. A thing is ours only by all of its name, our platform's tag, and an environment's tag that
agrees with the name. Under one environment's name everything has to be ours before any of it is removed, and what is protected
is never touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import Terminal
from orchestrator.ports import FoundResource, FoundService, FoundStack

LEAST_AGE = timedelta(hours=1)
"""So old an orphan must be, and so long ago first seen, before it is removed."""

MAX_REMOVAL_RETRIES = 3
"""So often a removal that failed for good is tried once more; then an operator has to look."""

_BUSY = "OPERATION_IN_PROGRESS"
"""Of a service that somebody changes right now: what it comes to is the next sweep's to see."""

NOBODY = "nobody"
"""The owner of what says no owner: no caller is it, so only operators see it."""


class Disagreement(StrEnum):
    ORPHAN_SERVICE = "orphan service"
    ORPHAN_STACK = "orphan stack"
    ORPHAN_RESOURCE = "orphan resource"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    MISSING_SERVICE = "missing service"
    MISSING_STACK = "missing stack"
    DRIFTED = "drifted"
    UNFINISHED_REMOVAL = "unfinished removal"
    QUARANTINED = "quarantined"


class Action(StrEnum):
    KEEP = "keep"
    SUSPECT = "suspect"
    REMOVE = "remove"
    RESTORE = "restore"
    TRY_AGAIN = "try again"


@dataclass(frozen=True)
class CloudSnapshot:
    """What the cloud held, and when the look at it began: a record as it was before that moment should agree with it."""

    began: datetime
    services: Sequence[FoundService]
    stacks: Sequence[FoundStack]
    resources: Sequence[FoundResource]


@dataclass(frozen=True)
class Finding:
    """One disagreement and its action. `record` is what it was found by, and so the condition of any write."""

    disagreement: Disagreement
    action: Action
    environment: str | None
    because: str
    record: Environment | None = None
    owner: str = NOBODY
    first_seen: datetime | None = None
    """Of orphans: when a sweep saw them first."""


class _Claim(StrEnum):
    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Thing:
    """A service or a stack under an environment's name."""

    label: str
    claim: _Claim
    tags: Mapping[str, str]
    since: datetime
    status: str | None = None
    """Of a service; a stack has none."""

    @property
    def is_service(self) -> bool:
        return self.status is not None


class Comparison:
    """The cloud as one look saw it beside the records as they were read afterwards (tombstones among them).

    `suspects` are the environments that the last deep sweep found without a record, and since when.
    """

    def __init__(
        self,
        platform: str,
        prefix: str,
        seen: CloudSnapshot,
        records: Mapping[str, Environment],
        suspects: Mapping[str, datetime],
    ) -> None:
        self._platform = platform
        self._prefix = prefix
        self._seen = seen
        self._records = records
        self._suspects = suspects
        self._things = self._grouped()
        self.findings: tuple[Finding, ...] = tuple(self._found())

    @property
    def environments(self) -> frozenset[str]:
        """The environments that anything of ours in the cloud belongs to."""
        with_things = {
            environment_id
            for environment_id, things in self._things.items()
            if any(thing.claim is _Claim.OURS for thing in things)
        }
        return frozenset(with_things | {tagged for _, tagged in self._other_resources() if tagged})

    def check_plausible(self, *, any_record: bool) -> None:
        """Raises Terminal `implausible` when one side is empty and the other is not: then the look itself went wrong."""
        expected = self._expected()
        for what, services in (("service", True), ("stack", False)):
            if expected and not self._may_be_ours(services):
                raise Terminal(
                    f"{len(expected)} records say that an environment is ready, and the cloud shows no {what} of ours at all: "
                    "that is taken for an error of the look. Nothing was done. See whether the worker's role, region, "
                    "prefix and state bucket are what they were.",
                    "implausible",
                )
        if self.environments and not any_record:
            raise Terminal(
                f"The cloud holds {len(self.environments)} environments of ours, and the table has no record of any, not even "
                "of a destroyed one: that is taken for the wrong table or a lost one. Nothing was done.",
                "implausible",
            )

    def too_many(self) -> str | None:
        """Why so much would be removed or restored that none of it may be; None when it may."""
        for action, things, base in (
            (Action.REMOVE, "orphans to remove", len(self.environments)),
            (Action.RESTORE, "environments to restore", len(self._expected())),
        ):
            count, most = sum(finding.action is action for finding in self.findings), cap(base)
            if count > most:
                return f"{count} {things} among {base} environments are more than the {most} that one sweep may touch"
        return None

    def suspects(self) -> Mapping[str, datetime]:
        """What the next deep sweep shall know of: everything that has no record, and since when."""
        return {
            finding.environment: finding.first_seen
            for finding in self.findings
            if finding.environment and finding.first_seen
        }

    def _found(self) -> Iterator[Finding]:
        for environment_id, things in sorted(self._things.items()):
            record = self._records.get(environment_id)
            yield from self._strangers(environment_id, things, record)
            if self._without_record(record) and any(thing.claim is _Claim.OURS for thing in things):
                yield self._orphan(environment_id, things, record)
        yield from self._resources()
        for _, record in sorted(self._records.items()):
            if not record.destroyed:
                yield from self._of_record(record, self._things.get(record.id, []))

    def _strangers(
        self, environment_id: str, things: Sequence[_Thing], record: Environment | None
    ) -> Iterator[Finding]:
        for thing in things:
            if thing.claim is _Claim.FOREIGN:
                because = f"{thing.label} has a name of ours, and its tags say otherwise: {_shown(thing.tags)}"
                yield Finding(Disagreement.FOREIGN, Action.KEEP, environment_id, because)
            # A stack that nothing was made in yet says nothing of itself; with a record that is no riddle.
            elif thing.claim is _Claim.UNKNOWN and (thing.is_service or self._without_record(record)):
                because = f"{thing.label} has a name of ours, and whose it is can't be read from it"
                yield Finding(Disagreement.UNKNOWN, Action.KEEP, environment_id, because)

    def _orphan(self, environment_id: str, things: Sequence[_Thing], tombstone: Environment | None) -> Finding:
        ours = [thing for thing in things if thing.claim is _Claim.OURS]
        service = any(thing.is_service for thing in ours)
        name = Disagreement.ORPHAN_SERVICE if service else Disagreement.ORPHAN_STACK
        what = " and ".join(thing.label for thing in ours)
        if len(ours) < len(things):
            because = f"no record knows {what}, but what else is there under its name is not all ours"
            return Finding(name, Action.KEEP, environment_id, because)
        first_seen = self._first_seen(environment_id, ours, tombstone)
        ripe = all(moment + LEAST_AGE <= self._seen.began for moment in (first_seen, *(each.since for each in ours)))
        return Finding(
            name,
            Action.REMOVE if ripe else Action.SUSPECT,
            environment_id,
            f"no record knows {what}, first seen so at {first_seen.isoformat(timespec='seconds')}",
            tombstone,
            _owner(ours, tombstone),
            first_seen,
        )

    def _first_seen(self, environment_id: str, ours: Sequence[_Thing], tombstone: Environment | None) -> datetime:
        """What is newer than the suspicion, or was suspected before its last receipt, is another thing: first seen now."""
        first_seen = self._suspects.get(environment_id, self._seen.began)
        newest = max(thing.since for thing in ours)
        if tombstone and tombstone.receipt:
            newest = max(newest, tombstone.receipt.at)
        return first_seen if newest <= first_seen <= self._seen.began else self._seen.began

    def _resources(self) -> Iterator[Finding]:
        for arn, environment_id in self._other_resources():
            things = self._things.get(environment_id or "", [])
            taken_along = any(thing.claim is _Claim.OURS and not thing.is_service for thing in things)
            if environment_id is None:
                because = f"{arn} has our platform's tag and no environment's that could be one"
                yield Finding(Disagreement.FOREIGN, Action.KEEP, None, because)
            elif self._without_record(self._records.get(environment_id)) and not taken_along:
                because = f"{arn} has our tags, but neither a record nor a stack that would take it away"
                yield Finding(Disagreement.ORPHAN_RESOURCE, Action.KEEP, environment_id, because)

    def _of_record(self, record: Environment, things: Sequence[_Thing]) -> Iterator[Finding]:
        if not record.present and record.failed_permanently and record.failure:
            tries, why = f"{record.removal_retries} of {MAX_REMOVAL_RETRIES} tries", record.failure.message
            if record.removal_retries < MAX_REMOVAL_RETRIES:
                because = f"its removal failed for good after {tries}: {why}"
                yield _about(record, Disagreement.UNFINISHED_REMOVAL, Action.TRY_AGAIN, because)
            else:
                because = f"its removal failed for good, and {tries} by the sweep did not help: {why}"
                yield _about(record, Disagreement.QUARANTINED, Action.KEEP, because)
        if not self._should_agree(record):
            return
        services = [thing for thing in things if thing.is_service]
        if not services:
            because = f"it should be {record.status}, and there is no service of its name"
            yield _about(record, Disagreement.MISSING_SERVICE, Action.RESTORE, because)
        for service in services:
            wanted = "PAUSED" if record.paused else "RUNNING"
            if service.claim is _Claim.OURS and service.status not in (wanted, _BUSY):
                because = f"it should be {record.status}, and {service.label} is {service.status}"
                yield _about(record, Disagreement.DRIFTED, Action.RESTORE, because)
            if service.claim is _Claim.OURS and len(services) == len(things):
                because = f"{service.label} runs, and there is no stack for it; its removal goes by name and tags"
                yield _about(record, Disagreement.MISSING_STACK, Action.KEEP, because)

    def _should_agree(self, record: Environment) -> bool:
        """Whether the cloud must show this environment: it was as desired before the look, and nobody is at work on it."""
        before = record.observed.at is not None and record.observed.at < self._seen.began
        expired = record.expired(self._seen.began)  # it goes as soon as its turn comes, and is not made anew before
        return record.present and record.settled and before and not expired and record.lease_free(self._seen.began)

    def _expected(self) -> Sequence[Environment]:
        return [record for record in self._records.values() if not record.destroyed and self._should_agree(record)]

    def _without_record(self, record: Environment | None) -> bool:
        """Whether nothing accounts for what is there. What went while we looked was accounted for when we saw it."""
        return record is None or (record.receipt is not None and record.receipt.at < self._seen.began)

    def _may_be_ours(self, services: bool) -> bool:
        things = [thing for group in self._things.values() for thing in group if thing.is_service is services]
        return any(thing.claim is not _Claim.FOREIGN for thing in things)

    def _grouped(self) -> Mapping[str, list[_Thing]]:
        """The services and stacks under each environment's name."""
        things: dict[str, list[_Thing]] = defaultdict(list)
        for service in self._seen.services:
            environment_id = names.id_of_service(self._prefix, service.name)
            if environment_id:
                claim, label = self._claim(environment_id, service.tags), f"service {service.name}"
                thing = _Thing(label, claim, service.tags or {}, service.created_at, service.status)
                things[environment_id].append(thing)
        for stack in self._seen.stacks:
            environment_id = names.id_of_stack(stack.name)
            if environment_id:
                claim, label = self._claim(environment_id, stack.tags), f"stack {stack.name}"
                things[environment_id].append(_Thing(label, claim, stack.tags or {}, stack.changed_at))
        return dict(things)

    def _other_resources(self) -> Sequence[tuple[str, str | None]]:
        """What else carries our platform's tag and an environment's: its ARN, and the environment if it can be one.

        What has no environment's tag at all is the platform's own. A service of another name than its environment's is a
        resource like any other.
        """
        found = {resource.arn: resource.tags for resource in self._seen.resources}
        for service in self._seen.services:
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


def environments_in(prefix: str, seen: CloudSnapshot) -> set[str]:
    """All environments that anything in the cloud is named after or tagged with, whosever it is."""
    found = {names.id_of_service(prefix, service.name) for service in seen.services}
    found |= {names.id_of_stack(stack.name) for stack in seen.stacks}
    found |= {_tagged_id(service.tags or {}) for service in seen.services}
    found |= {_tagged_id(resource.tags) for resource in seen.resources}
    return {environment_id for environment_id in found if environment_id}


def without(ids: Collection[str], prefix: str, seen: CloudSnapshot) -> CloudSnapshot:
    """The cloud without all that is under these environments' names or tags."""
    return CloudSnapshot(
        seen.began,
        [
            each
            for each in seen.services
            if not {names.id_of_service(prefix, each.name), _tagged_id(each.tags or {})} & set(ids)
        ],
        [each for each in seen.stacks if names.id_of_stack(each.name) not in ids],
        [each for each in seen.resources if _tagged_id(each.tags) not in ids],
    )


def cap(environments: int) -> int:
    """How many of so many environments one sweep may touch by inference: ten, or three in ten."""
    return max(10, environments * 3 // 10)


def _about(record: Environment, name: Disagreement, action: Action, because: str) -> Finding:
    if record.present and record.protected and action is not Action.KEEP:
        return Finding(
            name,
            Action.KEEP,
            record.id,
            f"{because}; it is protected, so that only a request changes it: a PUT with another revision makes it again",
        )
    return Finding(name, action, record.id, because, record)


def _tagged_id(tags: Mapping[str, str]) -> str | None:
    """The environment that the tags name, if it can be one."""
    return names.id_of_stack(names.stack_name(tags.get(names.TAG_ENVIRONMENT, "")))


def _owner(ours: Sequence[_Thing], tombstone: Environment | None) -> str:
    """The owner that the tags name; the tombstone's where there is none, or where the tag had no room for all of it."""
    tagged = next((thing.tags[names.TAG_OWNER] for thing in ours if thing.tags.get(names.TAG_OWNER)), None)
    if tombstone and tagged in (None, names.owner_tag(tombstone.owner)):
        return tombstone.owner
    return tagged or NOBODY


def _shown(tags: Mapping[str, str]) -> str:
    ours = {name: value for name, value in sorted(tags.items()) if name in (names.TAG_PLATFORM, names.TAG_ENVIRONMENT)}
    return ", ".join(f"{name}={value}" for name, value in ours.items()) or "none of ours"

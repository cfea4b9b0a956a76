"""The Inventory port: App Runner's services, the stacks in the state bucket, and what the tagging API shows.

The rule: nothing is left out silently. Something that is deleted during the reading is left out; something unreadable is returned
as unknown; and if AWS does not answer, that is an error, never an empty list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from orchestrator.adapters.aws.apprunner import MOVED_ON, is_alive, listed
from orchestrator.adapters.aws_errors import error_code, translated, translating
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.domain.errors import Terminal, Transient
from orchestrator.ports import FoundResource, FoundService, FoundStack

Tags = Mapping[str, str]
A = TypeVar("A")
B = TypeVar("B")

_SERVICE = re.compile(r"arn:[^:]+:apprunner:[^:]*:[^:]*:service/.+")

_READERS = 8
"""Threads that read stacks and tags: fewer than the ten connections of a boto3 client."""


class AwsInventory:
    """The Inventory port on App Runner, the resource groups tagging API and the state bucket."""

    def __init__(self, apprunner: Any, tagging: Any, state: StateBucket, platform: str, prefix: str) -> None:
        self._apprunner = apprunner
        self._tagging = tagging
        self._state = state
        self._platform = platform
        self._prefix = prefix

    def services(self) -> Sequence[FoundService]:
        tagged = dict(self._tagged())
        with translating("listing App Runner's services"):
            living = [each for each in listed(self._apprunner) if each["Status"] != "DELETED"]
        candidates = [each for each in living if self._by_name(each) or each["ServiceArn"] in tagged]
        return _in_parallel(lambda each: self._service(each, tagged), candidates)

    def stacks(self) -> Sequence[FoundStack]:
        return _in_parallel(lambda each: self._stack(*each), self._state.names())

    def resources(self) -> Sequence[FoundResource]:
        """Everything with our platform's tag except App Runner's services: the tagging API shows deleted ones for long, and
        `services` returns the live ones.
        """
        return [FoundResource(arn, tags) for arn, tags in self._tagged() if not _SERVICE.fullmatch(arn)]

    def is_alive(self, service_arn: str) -> bool:
        # App Runner knows the services of its own region only: of others it can't tell.
        elsewhere = service_arn.split(":")[3] != self._apprunner.meta.region_name
        return elsewhere or is_alive(self._apprunner, service_arn)

    def _tagged(self) -> Iterator[tuple[str, Tags]]:
        with translating("searching for resources with our tag"):
            pages = self._tagging.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": names.TAG_PLATFORM, "Values": [self._platform]}]
            )
            for page in pages:
                for found in page["ResourceTagMappingList"]:
                    yield found["ResourceARN"], _plain(found["Tags"])

    def _by_name(self, summary: Mapping[str, Any]) -> bool:
        return names.id_of_service(self._prefix, summary["ServiceName"]) is not None

    def _service(self, summary: Mapping[str, Any], tagged: Mapping[str, Tags]) -> FoundService | None:
        arn, tags = summary["ServiceArn"], None
        if not self._by_name(summary):
            tags = tagged[arn]  # the worker's role may not read the tags of a service with another name
        else:
            try:
                tags = _plain(self._apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"])
            except ClientError as error:
                # A service that is deleted meanwhile can still be described, but has no tags.
                if error_code(error) in MOVED_ON and not is_alive(self._apprunner, arn):
                    return None
                refusal = translated(error, f"reading the tags of {arn}")
                if isinstance(refusal, Transient):
                    raise refusal from error
        return FoundService(arn, summary["ServiceName"], summary["Status"], summary["CreatedAt"], tags)

    def _stack(self, name: str, changed_at: datetime) -> FoundStack | None:
        try:
            checkpoint = self._state.checkpoint(name)
        except Terminal as error:
            if error.code != "bad_state":
                raise
            return FoundStack(name, changed_at, None)
        return None if checkpoint is None else FoundStack(name, changed_at, tags_of(checkpoint))


def tags_of(checkpoint: Mapping[str, Any]) -> Tags | None:
    """The tags of a stack: those that its AWS provider gives to all resources; without such a provider, the resources' own.

    Only tags on which all of them agree count, so a stack that contradicts itself is not ours. None if nothing has tags.
    """
    resources = checkpoint.get("resources") or []
    providers = [each for each in resources if each.get("type") == "pulumi:providers:aws"]
    told = [_default_tags(each.get("inputs") or {}) for each in providers]
    if not any(told):
        told = [_own_tags(each) for each in resources]
    agreed = [tags.items() for tags in told if tags]
    return dict(set(agreed[0]).intersection(*agreed[1:])) if agreed else None


def _default_tags(inputs: Mapping[str, Any]) -> Tags:
    """The default tags in a provider's inputs, which the state keeps as JSON in strings."""
    try:
        given = json.loads(inputs.get("defaultTags") or "{}")["tags"]
    except (ValueError, TypeError, KeyError):
        return {}
    return _texts(given)


def _own_tags(resource: Mapping[str, Any]) -> Tags:
    tags = (resource.get("outputs") or {}).get("tagsAll") or (resource.get("inputs") or {}).get("tags")
    return _texts(tags)


def _texts(tags: object) -> Tags:
    """The readable part of a map of tags: secrets and other wrapped values are left out."""
    if not isinstance(tags, Mapping):
        return {}
    return {name: value for name, value in tags.items() if isinstance(name, str) and isinstance(value, str)}


def _plain(tags: Iterable[Mapping[str, str]]) -> Tags:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _in_parallel(look: Callable[[A], B | None], things: Iterable[A]) -> list[B]:
    """The results of `look` for each thing, in order, without None. The first error ends it."""
    with translating("reading everything that exists"), ThreadPoolExecutor(_READERS) as readers:
        return [found for found in readers.map(look, things) if found is not None]

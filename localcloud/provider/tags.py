"""Tags: a provider's default tags under a resource's own, and how each service's tags are read and changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.provider import shapes
from localcloud.provider.property_values import UNKNOWN


@dataclass(frozen=True)
class TagChange:
    """Tags to set (new or changed) and keys to remove."""

    put: dict[str, str]
    remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


@dataclass(frozen=True)
class Tagging:
    """How the tags of one type's resources are read and changed.

    by: the output that names the resource in these calls. The others are AWS's names of the operations; botocore's
    model of them says whether tags are a map or a list there.
    """

    by: str = "arn"
    put_by: str = "TagResource"
    remove_by: str = "UntagResource"
    list_by: str = "ListTagsForResource"

    def read(self, client: Any, resource: str) -> dict[str, str]:
        """The resource's tags, without those of AWS itself (`aws:…`), which cannot be changed."""
        answer = self._call(client, self.list_by, resource)
        found = answer.get("Tags") or answer.get("tags") or {}
        tags = found if isinstance(found, Mapping) else shapes.as_map(found)
        return {key: value for key, value in tags.items() if not key.startswith("aws:")}

    def change(self, client: Any, resource: str, change: TagChange) -> None:
        """Remove tags and set others."""
        if change.remove:
            self._call(client, self.remove_by, resource, tagKeys=change.remove)
        if change.put:
            self._call(client, self.put_by, resource, tags=change.put)

    def _call(self, client: Any, operation: str, resource: str, **given: Any) -> Any:
        parameter = client.meta.service_model.operation_model(operation).input_shape.required_members[0]
        return shapes.call(client, operation, **shapes.request(client, operation, {parameter: resource, **given}))


def merged(default: Mapping[str, Any], own: Any) -> Any:
    """Default tags with the resource's own on top; UNKNOWN when the own ones are."""
    if own is UNKNOWN:
        return UNKNOWN
    return {**default, **(own or {})}


def change(old: Mapping[str, str], new: Mapping[str, str]) -> TagChange:
    """What turns `old` into `new`."""
    return TagChange(
        put={key: value for key, value in new.items() if old.get(key) != value},
        remove=sorted(set(old) - set(new)),
    )


def own_of(live: Mapping[str, str], default: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The tags that count as the resource's own: those it has, without the provider's unchanged defaults.

    A default tag that the program repeats stays the program's.
    """
    return {key: value for key, value in live.items() if default.get(key) != value or key in given}

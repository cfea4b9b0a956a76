"""Tags: a provider's default tags under a resource's own, and how to get from the tags there are to those wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.provider.wire import UNKNOWN


@dataclass(frozen=True)
class TagChange:
    """Tags to set (new or changed) and keys to remove."""

    put: dict[str, str]
    remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


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
    """The tags that count as the resource's own: those there are, less the provider's untouched defaults.

    A default tag that the program repeats stays the program's.
    """
    return {key: value for key, value in live.items() if default.get(key) != value or key in given}


def as_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags in the list form most of AWS's services take."""
    return [{key: name, value: text} for name, text in tags.items()]


def as_map(tags: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Tags out of the list form; AWS's own (`aws:…`) are not the user's to manage."""
    return {tag[key]: tag[value] for tag in tags or [] if not tag[key].startswith("aws:")}

"""What changed, property by property, and whether the resource has to be replaced.

The rule: old *outputs* are compared with new inputs, as in the wrapped plug-in, and only properties that the old or the
new program gives. A consequence to know: an update that failed leaves the wanted values in the outputs, so the next diff
is empty until a refresh or the engine's retry has read the real ones (see pulumi/pulumi issue 21458).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.provider.archive import is_packed
from localcloud.provider.property_values import UNKNOWN
from localcloud.provider.schema import join


@dataclass(frozen=True)
class Change:
    """One property that differs: its path, its kind (`add`, `delete` or `update`), and whether it forces a replacement."""

    path: str
    kind: str
    replaces: bool = False

    @property
    def root(self) -> str:
        """The input the path begins with."""
        return root_of(self.path)


def root_of(path: str) -> str:
    """The property that a path begins with."""
    return path.split(".")[0].split("[")[0]


def changes(old: Mapping[str, Any], new: Mapping[str, Any], replace_on: Collection[str] = ()) -> list[Change]:
    """The differences from `old` to `new`; `replace_on` names properties (also `a.b`) that cannot change in place."""
    found: list[Change] = []
    _walk("", dict(old), dict(new), found)
    return [Change(change.path, change.kind, any(_under(change.path, name) for name in replace_on)) for change in found]


def project(live: Any, shape: Any) -> Any:
    """`live` cut down to the properties that `shape` has; lists of another length are kept whole."""
    if is_packed(shape):
        return live
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {key: project(live[key], shape[key]) for key in shape if key in live}
    if isinstance(live, list) and isinstance(shape, list) and len(live) == len(shape):
        return [project(item, like) for item, like in zip(live, shape, strict=True)]
    return live


def union(one: Any, other: Any) -> Any:
    """A shape with the properties of both."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and not is_packed(one):
        return {
            key: union(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in [*one, *(key for key in other if key not in one)]
        }
    return other


def same(old: Any, new: Any) -> bool:
    """Equal as AWS sees it: numbers by value, JSON texts by meaning, archives by hash, absent equal to empty maps."""
    if new is UNKNOWN or old is UNKNOWN:
        return False
    if is_packed(old) and is_packed(new):
        return bool(old.get("hash") == new.get("hash"))
    if isinstance(old, str) and isinstance(new, str) and old != new:
        return _same_json(old, new)
    return bool(old == new)


def _same_json(old: str, new: str) -> bool:
    if not (old.lstrip()[:1] in "{[" and new.lstrip()[:1] in "{["):
        return False
    try:
        return bool(json.loads(old) == json.loads(new))
    except ValueError:
        return False


def _walk(path: str, old: Any, new: Any, found: list[Change]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not is_packed(old) and not is_packed(new):
        for key in [*old, *(key for key in new if key not in old)]:
            if not path and key.startswith("__"):
                continue
            here = join(path, key)
            if key not in new:
                if old[key] not in ({}, []):
                    found.append(Change(here, "delete"))
            elif key not in old:
                if new[key] not in ({}, []):
                    found.append(Change(here, "add"))
            else:
                _walk(here, old[key], new[key], found)
    elif isinstance(old, list) and isinstance(new, list):
        for n in range(max(len(old), len(new))):
            here = join(path, n)
            if n >= len(new):
                found.append(Change(here, "delete"))
            elif n >= len(old):
                found.append(Change(here, "add"))
            else:
                _walk(here, old[n], new[n], found)
    elif not same(old, new):
        found.append(Change(path, "update"))


def _under(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))

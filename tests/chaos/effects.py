"""What a worker changes, call by call, under names that are the same in every run.

The rule: an effect is named by what it does and how often that was done before in its operation (`state: Put checkpoint #2`),
never by its place among all calls, which differs from run to run.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.faults.calls import Call
from localcloud.faults.faults import Match

ALWAYS = 1_000_000
"""How often a fault happens that never stops."""
CHANGES = Match(also=lambda call: call.changes)

_STATE = (
    (re.compile(r"\.pulumi/stacks/.*\.json\.bak$"), "checkpoint's copy"),
    (re.compile(r"\.pulumi/stacks/.*\.pulumi-tags$"), "stack's tags"),
    (re.compile(r"\.pulumi/stacks/"), "checkpoint"),
    (re.compile(r"\.pulumi/locks/"), "Pulumi's lock"),
    (re.compile(r"\.pulumi/history/"), "history"),
    (re.compile(r"\.pulumi/backups/"), "backup"),
)


@dataclass(frozen=True)
class Effect:
    """The `nth` effect of this name."""

    name: str
    nth: int

    def __str__(self) -> str:
        return f"{self.name} #{self.nth}"

    def is_done_by(self, call: Call) -> bool:
        """Whether this call has an effect of this name."""
        return call.changes and name_of(call) == self.name


def effects_of(calls: Iterable[Call], about: str) -> list[Effect]:
    """The effects among these calls that concern the environment, in order."""
    return numbered(name_of(call) for call in calls if call.changes and call.mentions(about))


def numbered(found: Iterable[str]) -> list[Effect]:
    """The effects with these names, in order."""
    seen: Counter[str] = Counter()
    effects = []
    for name in found:
        seen[name] += 1
        effects.append(Effect(name, seen[name]))
    return effects


def name_of(call: Call) -> str:
    """What the call does, in a few words."""
    if call.service == "dynamodb":
        return f"table: {_of_table(json.loads(call.body))}"
    if call.service == "s3":
        kind = next((kind for pattern, kind in _STATE if pattern.search(call.target)), call.target or "objects")
        return f"state: {call.operation.removesuffix('Object').removesuffix('Objects')} {kind}"
    return f"{call.service}: {call.operation}"


def _of_table(body: Any) -> str:
    """The kind of the write's event; a claim and a release have none, and differ in the lease's holder."""
    items = [next(iter(write.values())) for write in body.get("TransactItems", [])] or [body]
    rows = [write["Item"] for write in items if "Item" in write]
    kinds = [row["kind"]["S"] for row in rows if "kind" in row]
    if kinds:
        return str(kinds[0])
    for row in rows:
        if "record" in row:
            return "claim" if row["record"]["M"]["lease"]["M"]["holder"].get("S") else "release"
        return " ".join(str(row[key]["S"]).partition("#")[0] for key in ("pk", "sk") if "S" in row[key])
    return "write"

"""What the protocol asks of every resource, in plain values: check, diff, preview, create, read, update, delete.

The rule: outputs are the inputs with the live properties on top. A change that fails half-way raises `PartialFailure` with
the id and the properties, so that the engine keeps the resource in its state, as with the wrapped plug-in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.provider import diff, schema, tags
from localcloud.provider.clients import service_id
from localcloud.provider.errors import ProviderError, describe
from localcloud.provider.operation import Operation
from localcloud.provider.property_values import UNKNOWN, has_unknown
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure

_FAILURES = (ClientError, BotoCoreError, ProviderError, OSError)
# Where the wrapped plug-in notes which inputs it made up itself.
_DEFAULTED = "__defaults"


class PartialFailure(Exception):
    """A change failed, and the resource exists: its id, its properties, and why."""

    def __init__(self, identifier: str, outputs: Mapping[str, Any], reason: str) -> None:
        super().__init__(reason)
        self.id = identifier
        self.outputs = outputs


@dataclass(frozen=True)
class Live:
    """What a read found: inputs as a program would have to give them, and all properties."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


def check(
    handler: Resource, op: Operation, old: Mapping[str, Any], logical: str, seed: bytes
) -> tuple[dict[str, Any], list[Failure]]:
    """The inputs with types, defaults and a name filled in, and what is wrong with them.

    `logical` and `seed` make the name of a resource whose program gives none.
    """
    given = {key: value for key, value in op.inputs.items() if not key.startswith("__")}
    checked, failures = schema.check(op.token, _named(handler, given, old, logical, seed))
    for key in sorted(set(checked) - handler.supports - {"region", "tags", "tagsAll", _DEFAULTED}):
        if not any(diff.root_of(failure.path) == key for failure in failures):
            failures.append(Failure(key, f"'{key}' is not carried out by the stand-in provider for {op.token}"))
    for key, value in handler.defaults.items():
        checked.setdefault(key, value)
    if not failures:
        failures = handler.check(op, checked)
    return checked, failures


def _named(
    handler: Resource, given: dict[str, Any], old: Mapping[str, Any], logical: str, seed: bytes
) -> dict[str, Any]:
    rule = handler.auto_name
    if rule is None or rule.property in given:
        return given
    # `namePrefix`, which also makes a name, is refused elsewhere, as not carried out.
    kept = old.get(rule.property) if rule.property in (old.get(_DEFAULTED) or []) else None
    return {**given, rule.property: kept or rule.name_for(logical, seed), _DEFAULTED: [rule.property]}


def changes(handler: Resource, op: Operation) -> list[diff.Change]:
    """What differs between the last known outputs and the wanted inputs."""
    shape = diff.union(dict(op.old_inputs), dict(op.inputs))
    old = {key: diff.project(op.outputs[key], shape[key]) for key in shape if key in op.outputs}
    old = {key: value for key, value in old.items() if key in op.inputs or key not in handler.kept}
    new = dict(op.inputs)
    for key in handler.unordered & old.keys() & new.keys():
        old[key], new[key] = _sorted(old[key]), _sorted(new[key])
    found = [each for each in diff.changes(old, new, handler.replace_on) if each.path not in handler.ignored]
    if handler.tagging and op.all_tags is not UNKNOWN and not any(change.root == "tags" for change in found):
        found += diff.changes({"tagsAll": op.outputs.get("tagsAll") or {}}, {"tagsAll": op.all_tags})
    return found


def deletes_first(handler: Resource, op: Operation) -> bool:
    """Whether a replacement has to delete the old resource first, because its fixed name is still taken.

    pulumi-terraform-bridge decides so for types with automatic names when the program gave an unchanged name.
    """
    rule = handler.auto_name
    if rule is None or rule.property in (op.inputs.get(_DEFAULTED) or []):
        return False
    name = op.inputs.get(rule.property)
    return name is not None and name == op.outputs.get(rule.property)


def preview(handler: Resource, op: Operation) -> dict[str, Any]:
    """The properties as far as they are known without doing anything."""
    known = op.outputs or dict.fromkeys(schema.schema_of(op.token).outputs, UNKNOWN)
    return _planned(handler, op, known)


def create(handler: Resource, op: Operation) -> dict[str, Any]:
    """Create it; the outputs. Raises PartialFailure when it fails and the resource exists, else the original error."""
    op.check_cancelled()
    try:
        handler.create(op)
        live = _read(handler, op)
    except _FAILURES as exc:
        if not op.id:
            raise _provider_error(handler, exc) from exc
        outputs = _outputs(handler, op, _try_read(handler, op))
        raise PartialFailure(op.id, outputs, str(_provider_error(handler, exc))) from exc
    return _outputs(handler, op, live or {})


def update(handler: Resource, op: Operation) -> dict[str, Any]:
    """Carry out what changed; the outputs.

    Raises PartialFailure with the wanted values as outputs, as the wrapped plug-in does.
    """
    op.check_cancelled()
    op.changed = changes(handler, op)
    try:
        if op.has_changed():
            handler.update(op)
        if handler.tagging:
            change = tags.change(op.outputs.get("tagsAll") or {}, op.all_tags)
            if change:
                handler.change_tags(op, change)
        live = _read(handler, op)
    except _FAILURES as exc:
        planned = _planned(handler, op, op.outputs)
        raise PartialFailure(op.id, planned, str(_provider_error(handler, exc))) from exc
    return _outputs(handler, op, live or {})


def read(handler: Resource, op: Operation, imported: bool) -> Live | None:
    """What is there now; None when it is gone. `imported`: there are no inputs of a program yet, only an id."""
    live = _read(handler, op)
    if live is None:
        return None
    inputs = _imported_inputs(handler, op, live) if imported else _refreshed_inputs(handler, op, live)
    if handler.tagging:
        own = tags.own_of(live.get("tagsAll") or {}, op.connection.default_tags, op.inputs.get("tags") or {})
        inputs = {key: value for key, value in inputs.items() if key != "tags"}
        if own or "tags" in op.inputs:
            inputs["tags"] = own
    op.inputs = inputs
    return Live(inputs, _outputs(handler, op, live))


def delete(handler: Resource, op: Operation) -> None:
    """Delete it; when it is gone already, that is success."""
    op.check_cancelled()
    try:
        handler.delete(op)
    except ClientError as exc:
        if not handler.is_gone(exc):
            raise _provider_error(handler, exc) from exc


def _provider_error(handler: Resource, error: BaseException) -> ProviderError:
    service = service_id(handler.service) if isinstance(error, ClientError) else ""
    return error if isinstance(error, ProviderError) else ProviderError(describe(error, service))


def _planned(handler: Resource, op: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    return _without_notes({**known, **op.inputs, **({"tagsAll": op.all_tags} if handler.tagging else {})})


def _outputs(handler: Resource, op: Operation, live: Mapping[str, Any]) -> dict[str, Any]:
    outputs = {**op.inputs, **{key: _wording(op.inputs.get(key), value, handler, key) for key, value in live.items()}}
    if "region" in schema.schema_of(op.token).outputs:
        outputs.setdefault("region", op.region)
    if handler.tagging and "tagsAll" not in live:
        outputs["tagsAll"] = op.all_tags
    if "tags" in op.inputs:
        outputs["tags"] = op.inputs["tags"]
    return _without_notes(outputs)


def _wording(given: Any, live: Any, handler: Resource, key: str) -> Any:
    """The program's own wording when AWS's means the same (another order, another JSON layout)."""
    if given is None or has_unknown(given):
        return live
    if diff.same(given, live) or (key in handler.unordered and _sorted(given) == _sorted(live)):
        return given
    return live


def _refreshed_inputs(handler: Resource, op: Operation, live: Mapping[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for key, given in op.inputs.items():
        if key not in live:
            inputs[key] = given
        elif live[key] is not None or given in ("", False, [], {}):
            inputs[key] = given if live[key] is None else _wording(given, diff.project(live[key], given), handler, key)
    return inputs


def _imported_inputs(handler: Resource, op: Operation, live: Mapping[str, Any]) -> dict[str, Any]:
    known, _ = schema.check(op.token, {key: value for key, value in live.items() if value not in (None, {}, [])})
    return {key: value for key, value in known.items() if key in handler.supports - handler.kept}


def _read(handler: Resource, op: Operation) -> dict[str, Any] | None:
    try:
        return handler.read(op)
    except ClientError as exc:
        if handler.is_gone(exc):
            return None
        raise _provider_error(handler, exc) from exc


def _try_read(handler: Resource, op: Operation) -> dict[str, Any]:
    try:
        return _read(handler, op) or {}
    except _FAILURES:
        # The first error is the one to report; without a read the wanted values are the best guess.
        return {}


def _sorted(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return sorted(value, key=lambda item: json.dumps(item, sort_keys=True, default=str))


def _without_notes(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if not key.startswith("__") and value is not None}

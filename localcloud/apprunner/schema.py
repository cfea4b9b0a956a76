"""Requests checked and answers written by botocore's service models: the names, patterns, enums, lengths and ranges
that AWS publishes. (botocore's own validator is a client's: it knows no patterns and enums, and other messages.)

Rules, as AWS has them:
- A member that the model does not know is ignored; null is the same as absent.
- A value of another type is a SerializationException.
- All other broken constraints are collected and refused in one message of AWS's form, by the service's own "invalid"
  error.
- The value of a member that the model marks as sensitive never appears in a message.
- Answers follow the output shape; a key that it does not have is a mistake of the emulator and raises KeyError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from localcloud.apprunner.errors import InvalidRequest, Malformed

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": bool,
    "structure": dict,
    "list": list,
    "map": dict,
}


def load_model(service: str) -> ServiceModel:
    """The newest model that botocore ships for a service."""
    loader = botocore.session.get_session().get_component("data_loader")
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


def parse(shape: Shape | None, body: object) -> dict[str, Any]:
    """The known members of a request's body, checked. Raises Malformed or InvalidRequest."""
    if shape is None:
        return {}
    broken: list[str] = []
    value: dict[str, Any] = _read(shape, body, "", broken)
    if broken:
        found = "1 validation error" if len(broken) == 1 else f"{len(broken)} validation errors"
        raise InvalidRequest(f"{found} detected: {'; '.join(broken)}")
    return value


def serialise(shape: Shape | None, value: Mapping[str, Any]) -> dict[str, Any]:
    """An answer's body: the given members that are not None. KeyError for one that the shape does not have."""
    return {} if shape is None else _written(shape, value)


def _read(shape: Shape, value: Any, path: str, broken: list[str]) -> Any:
    """The known part of a value; a message for each constraint that it breaks is added to `broken`."""
    if not _has_type(value, shape.type_name):
        raise Malformed(f"{shape.name}: expected {shape.type_name}")
    inner: list[str] = []
    if isinstance(shape, StructureShape):
        given = {name: value[name] for name in shape.members if value.get(name) is not None}
        for name in shape.required_members:
            if name not in given:
                inner.append(_message("Value null", _join(path, name), "Member must not be null"))
        value = {name: _read(shape.members[name], each, _join(path, name), inner) for name, each in given.items()}
    elif isinstance(shape, ListShape):
        value = [_read(shape.member, each, f"{path}.{i}.member", inner) for i, each in enumerate(value, start=1)]
    elif isinstance(shape, MapShape):
        value = {
            _read(shape.key, key, f"{path}.key", inner): _read(shape.value, each, f"{path}.value", inner)
            for key, each in value.items()
        }
    shown = "Value" if shape.metadata.get("sensitive") else f"Value '{value}'"
    broken += (_message(shown, path, constraint) for constraint in _broken_constraints(shape, value))
    broken += inner
    return value


def _has_type(value: object, name: str) -> bool:
    # In Python a boolean is an integer; on the wire it is not.
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _message(shown: str, path: str, constraint: str) -> str:
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _broken_constraints(shape: Shape, value: Any) -> Iterator[str]:
    rules = shape.metadata
    sized = isinstance(value, str | list | dict)
    measure, what = (len(value), "length") if sized else (value, "value")
    if "min" in rules and measure < rules["min"]:
        yield f"Member must have {what} greater than or equal to {rules['min']}"
    if "max" in rules and measure > rules["max"]:
        yield f"Member must have {what} less than or equal to {rules['max']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    # The model's patterns are Java's: they match the whole value, and \w is ASCII.
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value, re.ASCII):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"


def _written(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {name: _written(shape.members[name], each) for name, each in value.items() if each is not None}
    if isinstance(shape, ListShape):
        return [_written(shape.member, each) for each in value]
    if isinstance(shape, MapShape):
        return dict(value)
    return value


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member

"""What Pulumi's own Python packages know of a resource's properties, and whether given inputs agree with it.

The classes of pulumi_aws and pulumi_docker are the schema. The wrapped plug-in turns "8080" into 8080 and 8080 into
"8080" as its schema says, so this does too.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import threading
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from pulumi import Archive, Asset
from pulumi._types import input_type_py_to_pulumi_names, input_type_types, is_input_type, resource_types, unwrap_type

from localcloud.provider.property_values import UNKNOWN

# Two threads importing one package for the first time deadlock or see half of it.
_IMPORT = threading.Lock()
_SIMPLE = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$]*$")


@dataclass(frozen=True)
class Failure:
    """One input that is wrong: where (a Pulumi property path) and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Schema:
    """The properties of one resource type: the class of its inputs, and its outputs' names with their types."""

    args: type
    outputs: Mapping[str, Any]


def join(path: str, key: str | int) -> str:
    """A Pulumi property path one step longer: `a.b`, `a[0]`, `a["odd.key"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _SIMPLE.match(key):
        return f"{path}.{key}" if path else key
    quoted = key.replace('"', '\\"')
    return f'{path}["{quoted}"]'


@cache
def schema_of(token: str) -> Schema:
    """The schema of a type token such as `aws:apprunner/service:Service` or `pulumi:providers:aws`.

    Raises LookupError for a token that Pulumi's packages do not have.
    """
    package, module, name = token.split(":")
    if package == "pulumi":
        package, module, name = name, "index", "Provider"
    folder = module.split("/")[0]
    path = f"pulumi_{package}" if folder == "index" else f"pulumi_{package}.{folder}"
    with _IMPORT:
        loaded = None
        # A module cannot be called `lambda` in Python, so it is `lambda_`.
        for candidate in (path, f"{path}_"):
            with suppress(ModuleNotFoundError):
                loaded = loaded or importlib.import_module(candidate)
        # Names of a module are imported at their first use.
        resource, args = getattr(loaded, name, None), getattr(loaded, f"{name}Args", None)
    if loaded is None:
        raise LookupError(f"no package {path} for {token}")
    if resource is None or args is None:
        raise LookupError(f"{path} has no resource {name}")
    return Schema(args=args, outputs=dict(resource_types(resource)))


def check(token: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Failure]]:
    """The inputs with scalars in the types the schema says, and what is wrong with them."""
    failures: list[Failure] = []
    checked = _structure(schema_of(token).args, inputs, "", failures)
    return checked, failures


def inputs_of(token: str) -> frozenset[str]:
    """The names of a type's inputs."""
    return frozenset(_fields(schema_of(token).args)[0])


def outputs(token: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs with scalars in the types the schema says."""
    types = schema_of(token).outputs
    return {name: _value(types[name], value, name, []) for name, value in properties.items()}


def _structure(cls: type, value: Mapping[str, Any], path: str, failures: list[Failure]) -> dict[str, Any]:
    types, required = _fields(cls)
    result: dict[str, Any] = {}
    for key, item in value.items():
        here = join(path, key)
        if key.startswith("__"):
            # The wrapped plug-in keeps notes of its own among the inputs.
            result[key] = item
        elif key not in types:
            failures.append(Failure(here, _unknown_property(key, types)))
        else:
            result[key] = _value(types[key], item, here, failures)
    for key in sorted(required - set(value)):
        failures.append(Failure(join(path, key), f"Missing required property '{key}'"))
    return result


@cache
def _fields(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    names = input_type_py_to_pulumi_names(cls)
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    required = {
        names[python]
        for python, parameter in parameters.items()
        if python in names and parameter.default is inspect.Parameter.empty
    }
    return dict(input_type_types(cls)), frozenset(required)


def _unknown_property(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"Unknown property '{key}'" + "".join(f"; did you mean '{name}'?" for name in near)


def _value(kind: Any, value: Any, path: str, failures: list[Failure]) -> Any:
    kind = unwrap_type(kind)
    if value is UNKNOWN or kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return _union(arguments, value, path, failures)
    if isinstance(kind, type) and is_input_type(kind):
        if isinstance(value, Mapping):
            return _structure(kind, value, path, failures)
        return _refuse("an object", value, path, failures)
    if origin in (list, Sequence):
        if isinstance(value, list):
            return [_value(arguments[0], item, join(path, n), failures) for n, item in enumerate(value)]
        return _refuse("a list", value, path, failures)
    if origin in (dict, Mapping):
        if isinstance(value, Mapping):
            return {key: _value(arguments[1], item, join(path, key), failures) for key, item in value.items()}
        return _refuse("a map", value, path, failures)
    if isinstance(kind, type):
        return _scalar(kind, value, path, failures)
    return value


def _union(arguments: tuple[Any, ...], value: Any, path: str, failures: list[Failure]) -> Any:
    candidates = [kind for kind in arguments if kind is not type(None)]
    for kind in candidates:
        trial: list[Failure] = []
        result = _value(kind, value, path, trial)
        if not trial:
            return result
    return _value(candidates[0], value, path, failures) if candidates else value


def _scalar(kind: type, value: Any, path: str, failures: list[Failure]) -> Any:
    if issubclass(kind, (Archive, Asset)):
        return value if isinstance(value, Mapping) else _refuse("an asset or archive", value, path, failures)
    if issubclass(kind, Enum) or kind is str:
        return _text(value, path, failures)
    if kind is bool:
        known = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
        return known if known is not None else _refuse("a boolean", value, path, failures)
    if kind in (int, float):
        return _number(kind, value, path, failures)
    return value


def _text(value: Any, path: str, failures: list[Failure]) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return value if isinstance(value, str) else _refuse("a string", value, path, failures)


def _number(kind: type, value: Any, path: str, failures: list[Failure]) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            pass
    return _refuse("a number", value, path, failures)


def _refuse(wanted: str, value: Any, path: str, failures: list[Failure]) -> Any:
    failures.append(Failure(path, f"expected {wanted}, got {type(value).__name__}"))
    return value

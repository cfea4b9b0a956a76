"""Pulumi's property values between protobuf and Python.

The rule: inside the provider a property value is plain Python (dict, list, str, int, float, bool); an unknown value is the
object UNKNOWN, and a null is an absent key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

# One per kind of value that is not known yet; from sdk/go/common/resource/plugin/rpc.go (UnknownBoolValue and so on).
_UNKNOWN_STRINGS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
# The key that marks a special value, and the marks of two, from sdk/go/common/resource/sig. Only a provider's
# configuration has secrets in it.
SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, _memo: Any) -> _Unknown:
        return self


UNKNOWN = _Unknown()
"""A value that a preview cannot know yet."""


def decode(struct: struct_pb2.Struct | None) -> dict[str, Any]:
    """A protobuf struct as plain values; nulls dropped, whole numbers as int, secrets bare, unknowns as UNKNOWN."""
    if struct is None:
        return {}
    value = _decode(json_format.MessageToDict(struct))
    return value if isinstance(value, dict) else {}


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values as a protobuf struct."""
    struct = struct_pb2.Struct()
    struct.update(_encode(properties))
    return struct


def has_unknown(value: Any) -> bool:
    """Whether UNKNOWN is anywhere inside."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return False


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) in (_SECRET, _OUTPUT):
            return _decode(value["value"]) if "value" in value else UNKNOWN
        return {key: _decode(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value in _UNKNOWN_STRINGS:
        return UNKNOWN
    return value


def _encode(value: Any) -> Any:
    if value is UNKNOWN:
        return _UNKNOWN_STRING
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    # Dates and the like: botocore parses timestamps, Pulumi has only strings for them.
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat is not None else str(value)

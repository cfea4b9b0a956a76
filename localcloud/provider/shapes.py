"""Pulumi's camelCase properties to AWS's shapes and back, by botocore's service models.

The rule: where the names agree apart from the case of letters, they are not written down again. A type's `renamed` has
the others, Pulumi's name to AWS's, at any depth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

Renamed = Mapping[str, str]
NOT_RENAMED: Renamed = MappingProxyType({})


def method(operation: str) -> str:
    """boto3's name of an operation: `create_service` for `CreateService`."""
    return str(xform_name(operation))


def call(client: Any, operation: str, **parameters: Any) -> Any:
    """Call an operation by AWS's name of it."""
    return getattr(client, method(operation))(**parameters)


def request(
    client: Any, operation: str, properties: Mapping[str, Any], renamed: Renamed = NOT_RENAMED
) -> dict[str, Any]:
    """The parameters of an operation, taken from properties; those that the operation does not know are left out.

    A map becomes a list of names and values, and a document becomes JSON text, where AWS wants it so.
    """
    return dict(_to_aws(client.meta.service_model.operation_model(operation).input_shape, properties, renamed))


def response(
    client: Any, operation: str, found: Mapping[str, Any], member: str = "", renamed: Renamed = NOT_RENAMED
) -> dict[str, Any]:
    """An answer, or what is in one member of it, with Pulumi's names. Members that are not there are None."""
    shape = client.meta.service_model.operation_model(operation).output_shape
    if member:
        shape = shape.members[member]
        shape = shape.member if isinstance(shape, ListShape) else shape
    names = {aws: pulumi for pulumi, aws in renamed.items()}
    absent = {_pulumi_name(name, names): None for name in shape.members}
    return {**absent, **_to_pulumi(shape, found, names)}


def as_map(pairs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """A map from AWS's list of names and values, such as tags or dimensions."""
    # `Key`, `TagKey` and `Name` come before `Value` and `TagValue` in the alphabet.
    return {pair[min(pair)]: pair[max(pair)] for pair in pairs}


def _to_aws(shape: Shape, value: Any, renamed: Renamed) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {name.lower(): name for name in shape.members}
        known = {members.get(renamed.get(key, key).lower()) or members.get(key.lower()): key for key in value}
        return {name: _to_aws(shape.members[name], value[key], renamed) for name, key in known.items() if name}
    if isinstance(shape, ListShape) and isinstance(value, Mapping):
        name, text = min(shape.member.members), max(shape.member.members)
        return [{name: key, text: item} for key, item in value.items()]
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_to_aws(shape.member, item, renamed) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _to_aws(shape.value, item, renamed) for key, item in value.items()}
    if shape.type_name == "string" and isinstance(value, (Mapping, list)):
        return json.dumps(value)
    if shape.type_name == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _to_pulumi(shape: Shape | None, value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        found = {name: _to_pulumi(shape.members.get(name), item, names) for name, item in value.items()}
        return {
            _pulumi_name(name, names): item
            for name, item in found.items()
            # A block of settings without any of them is no block.
            if item is not None and (item != {} or not isinstance(shape.members.get(name), StructureShape))
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_to_pulumi(shape.member, item, names) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _to_pulumi(shape.value, item, names) for key, item in value.items()}
    if shape is not None and shape.type_name == "string" and isinstance(value, Mapping):
        # botocore parses the policies of IAM, which its model calls strings.
        return json.dumps(value)
    return value


def _pulumi_name(name: str, names: Mapping[str, str]) -> str:
    return names.get(name) or name[:1].lower() + name[1:]

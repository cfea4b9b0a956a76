"""Pulumi's camelCase properties to AWS's shapes and back, by botocore's service models.

Rule: where the names agree apart from the case of letters, nobody types them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape


def request(client: Any, operation: str, properties: Mapping[str, Any], skip: Collection[str] = ()) -> dict[str, Any]:
    """The parameters of an operation (`CreateService`) taken from properties of the same names.

    Properties that the operation does not know are left out; so are those in `skip`.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    return dict(_down(shape, {key: value for key, value in properties.items() if key not in skip}))


def response(client: Any, operation: str, answer: Mapping[str, Any], member: str = "") -> dict[str, Any]:
    """An answer, or one member of it, with camelCase names; keys of maps stay as they are."""
    shape: Shape = client.meta.service_model.operation_model(operation).output_shape
    value: Any = answer
    if member:
        shape, value = shape.members[member], answer.get(member) or {}
    return {key: item for key, item in _up(shape, value).items() if key != "responseMetadata"}


def _down(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {name.lower(): name for name in shape.members}
        return {
            members[key.lower()]: _down(shape.members[members[key.lower()]], item)
            for key, item in value.items()
            if key.lower() in members
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_down(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _down(shape.value, item) for key, item in value.items()}
    if shape.type_name in ("blob", "timestamp"):
        return value
    if shape.type_name == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _up(shape: Shape | None, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            name[:1].lower() + name[1:]: _up(shape.members.get(name), item)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_up(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _up(shape.value, item) for key, item in value.items()}
    return value

"""What types have in common whose settings AWS keeps as one map of texts, `Attributes`: those of SNS and SQS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import schema
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource


class ResourceWithAttributes(Resource):
    """A type with attributes.

    attributes: inputs that are attributes, with AWS's names of them.
    computed: the same for outputs that the create does not take as attributes.
    """

    attributes: ClassVar[Mapping[str, str]] = {}
    computed: ClassVar[Mapping[str, str]] = {}
    member = "Attributes"

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """With the attributes as texts."""
        return super().request(op, operation, properties) | {"Attributes": self.texts(properties)}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes in the types of Pulumi's schema."""
        unset = self._unset()
        named = {name: found.get(aws, unset.get(name)) for name, aws in {**self.attributes, **self.computed}.items()}
        return schema.outputs(op.token, {name: value for name, value in named.items() if value is not None})

    def texts(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Properties as AWS wants attributes."""
        return {
            aws: str(given[name]).lower() if isinstance(given[name], bool) else str(given[name])
            for name, aws in self.attributes.items()
            if name in given
        }

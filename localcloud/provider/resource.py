"""The shape of a resource handler: what one AWS resource type needs besides the protocol.

A handler holds no state. It makes, reads, changes and deletes by boto3, and says by its class attributes what the
protocol side does for every type alike: names, tags, replacements, defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.provider import shapes, tags
from localcloud.provider.errors import code_of
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.schema import Failure


class Resource:
    """One resource type (or several under one handler).

    tokens: Pulumi's names of it.
    service: boto3's name of it.
    supports: inputs that are carried out; others that Pulumi knows are refused, since ignoring them would be a lie.
    replace_on: inputs that cannot change in place.
    auto_name: how to name one without a name.
    defaults: what the official plug-in fills in.
    unordered: lists whose order means nothing.
    ignored: paths of inputs whose change is no change.
    kept: inputs that AWS fills in and keeps, so that leaving them out of a program changes nothing.
    taggable: takes tags.
    gone: AWS's error codes for "not there".
    limit: seconds a wait may take.
    """

    tokens: ClassVar[tuple[str, ...]] = ()
    service: ClassVar[str] = ""
    supports: ClassVar[frozenset[str]] = frozenset()
    replace_on: ClassVar[frozenset[str]] = frozenset()
    auto_name: ClassVar[AutoName | None] = None
    defaults: ClassVar[Mapping[str, Any]] = {}
    unordered: ClassVar[frozenset[str]] = frozenset()
    ignored: ClassVar[frozenset[str]] = frozenset()
    kept: ClassVar[frozenset[str]] = frozenset()
    taggable: ClassVar[bool] = False
    gone: ClassVar[tuple[str, ...]] = ("ResourceNotFoundException",)
    limit: ClassVar[float] = 600

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """What is wrong beyond names and types; may fill in `inputs`."""
        return []

    def create(self, op: Operation) -> None:
        """Make it; calls `op.made` with the id as soon as there is one."""
        raise NotImplementedError

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The live properties of `op.id`, inputs and computed ones; None when it is gone. Tags go under `tagsAll`."""
        raise NotImplementedError

    def update(self, op: Operation) -> None:
        """Carry out `op.changed`, tags apart."""
        raise NotImplementedError

    def delete(self, op: Operation) -> None:
        """Delete `op.id`. An error that `gone` names is success."""
        raise NotImplementedError

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """Set and remove tags of `op.id`."""
        raise NotImplementedError

    def is_gone(self, error: ClientError) -> bool:
        """Whether AWS's error says that the resource is not there."""
        return code_of(error) in self.gone

    def client(self, op: Operation) -> Any:
        """The boto3 client of the handler's service."""
        return op.client(self.service)

    def changed_request(self, op: Operation, operation: str, **more: Any) -> dict[str, Any]:
        """Parameters for `operation` from the top-level properties that changed."""
        roots = {change.root for change in op.changed}
        wanted = {key: value for key, value in op.inputs.items() if key in roots}
        return shapes.request(self.client(op), operation, wanted) | more

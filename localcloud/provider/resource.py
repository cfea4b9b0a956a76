"""What one AWS resource type needs besides the protocol: mostly data, and methods where a type is special.

Most types are created, read, updated and deleted by one AWS operation each, whose parameters have the names of Pulumi's
inputs. For those it is enough to name the operations. A handler holds no state.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.provider import schema, shapes, tags
from localcloud.provider.errors import code_of
from localcloud.provider.operation import Operation
from localcloud.provider.schema import Failure


def names(text: str) -> frozenset[str]:
    """Property names, written as words."""
    return frozenset(text.split())


@dataclass(frozen=True)
class AutoName:
    """How one resource type is named when its program gives no name, as Pulumi does it.

    property: the input that holds the name. longest: AWS's limit in characters. lower: AWS takes lowercase only.
    """

    property: str = "name"
    longest: int = 255
    lower: bool = False

    def name_for(self, logical: str, seed: bytes) -> str:
        """`<logical>-<7 hex>`, the same one for the same seed; without a seed a new one each time.

        The length of the suffix is pulumi-terraform-bridge's (`AutoNameOptions{Randlen: 7}`).
        """
        suffix = (hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(4))[:7]
        name = f"{logical[: self.longest - len(suffix) - 1]}-{suffix}"
        return name.lower() if self.lower else name


@dataclass(frozen=True)
class Setting:
    """Inputs that AWS changes by operations of their own.

    inputs: their names, as words. put_by: the operation that sets them. reset_by: the operation that brings back the
    default, which needs no value; without it, `put_by` sets the default too. after_create: the create does not take
    them. renamed: AWS's names of them in `put_by`.
    """

    inputs: str
    put_by: str
    reset_by: str = ""
    after_create: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)


class Resource:
    """One resource type, described by these attributes; a special type replaces methods as well."""

    # What Pulumi says of it.
    token: ClassVar[str] = ""  # Pulumi's name of the type
    supports: ClassVar[frozenset[str]] = frozenset()  # inputs that are carried out; ignoring others would hide errors
    replace_on: ClassVar[frozenset[str]] = frozenset()  # inputs that cannot change in place
    auto_name: ClassVar[AutoName | None] = None  # how to name a resource whose program gives no name
    defaults: ClassVar[Mapping[str, Any]] = {}  # what the official plug-in fills in
    unordered: ClassVar[frozenset[str]] = frozenset()  # lists whose order has no meaning
    ignored: ClassVar[frozenset[str]] = frozenset()  # paths of inputs whose change is no change
    kept: ClassVar[frozenset[str]] = frozenset()  # AWS fills these in and keeps them: leaving them out changes nothing

    # What AWS says of it.
    service: ClassVar[str] = ""  # boto3's name of the service
    create_by: ClassVar[str] = ""  # AWS's names of the four operations
    read_by: ClassVar[str] = ""
    update_by: ClassVar[str] = ""
    delete_by: ClassVar[str] = ""
    identity: ClassVar[tuple[str, ...]] = ()  # the parameters that say which resource is meant
    separator: ClassVar[str] = "/"  # joins their values to Pulumi's id
    member: ClassVar[str] = ""  # where answers have the resource; empty when they are the resource
    renamed: ClassVar[Mapping[str, str]] = {}  # Pulumi's name to AWS's, where more than the case differs
    empty: ClassVar[Mapping[str, Any]] = {}  # stands for an absent input: read when AWS gives none, sent to take it out
    settings: ClassVar[tuple[Setting, ...]] = ()  # in the order in which they are changed
    updates_all: ClassVar[bool] = False  # an update sends all inputs, because AWS replaces those it does not get
    tagging: ClassVar[tags.Tagging | None] = None  # how its tags are changed; None when it takes none
    gone: ClassVar[tuple[str, ...]] = ("ResourceNotFoundException",)  # AWS's error codes for "not there"
    role_errors: ClassVar[tuple[str, ...]] = ()  # AWS's codes while a new role is not known yet: the create is repeated
    role_text: ClassVar[str] = ""  # what the message of such a refusal contains

    # How long it takes.
    status_in: ClassVar[str] = "Status"  # the member with the status
    pending: ClassVar[tuple[str, ...]] = ()  # statuses to wait through after a create or update
    ready: ClassVar[tuple[str, ...]] = ()  # statuses that end that wait; no wait without
    deleting: ClassVar[tuple[str, ...]] = ()  # statuses to wait through after a delete; no wait without
    deleted: ClassVar[tuple[str, ...]] = ()  # AWS still describes it, and it is gone nevertheless
    title: ClassVar[str] = ""  # what the official plug-in calls the type in its messages
    limit: ClassVar[float] = 600  # seconds a wait may take

    # -- What the protocol asks for ------------------------------------------------------------------------------------

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """What is wrong beyond names and types; may fill in `inputs`."""
        return []

    def create(self, op: Operation) -> None:
        """Create it, wait until it is ready, then change settings. Sets `op.id` as soon as there is one."""
        request = self.request(op, self.create_by, {**op.inputs, "tags": op.all_tags})
        answer = op.retry(lambda: self.call(op, self.create_by, **request), codes=self.role_errors, text=self.role_text)
        known = {**request, **(answer.get(self.member) or answer)}
        op.id = self.separator.join(known[name] for name in self.identity)
        self.wait(op, "create")
        for setting in self.settings:
            if setting.after_create and not self._is_default(op, setting):
                self._put_setting(op, setting)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The live properties of `op.id`, inputs and computed ones; None when it is gone. Tags go under `tagsAll`."""
        found = self.find(op)
        if found is None:
            return None
        live = self.properties(op, found)
        if self.tagging and "tagsAll" not in live:
            live["tagsAll"] = self.tagging.read(self.client(op), live[self.tagging.by])
        return live

    def update(self, op: Operation) -> None:
        """Carry out `op.changed`, without the tags, and wait until it is ready again."""
        for setting in self.settings:
            if op.has_changed(*setting.inputs.split()):
                self._put_setting(op, setting)
        if not self.update_by:
            return
        roots = op.inputs.keys() if self.updates_all else {change.root for change in op.changed}
        wanted = {root: op.inputs.get(root, self.empty.get(root)) for root in roots}
        given = {root: value for root, value in wanted.items() if value is not None}
        if request := self.request(op, self.update_by, given):
            self.call(op, self.update_by, **request | self.key(op))
            self.wait(op, "update")

    def delete(self, op: Operation) -> None:
        """Delete `op.id` and wait until it is gone. An error that `gone` names is success."""
        self.call(op, self.delete_by, **self.key(op))
        if self.deleting:
            self.wait_for(op, "delete", pending=self.deleting, target=(*self.deleted, None))

    def change_tags(self, op: Operation, change: tags.TagChange) -> None:
        """Set and remove tags of `op.id`."""
        assert self.tagging is not None
        self.tagging.change(self.client(op), op.outputs[self.tagging.by], change)

    def is_gone(self, error: ClientError) -> bool:
        """Whether AWS's error says that the resource is not there."""
        return code_of(error) in self.gone

    # -- What a special type replaces ----------------------------------------------------------------------------------

    def key(self, op: Operation) -> dict[str, str]:
        """The parameters that say which resource is meant."""
        return dict(zip(self.identity, op.id.split(self.separator, len(self.identity) - 1), strict=True))

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Properties as the parameters of an operation."""
        return shapes.request(self.client(op), operation, properties, self.renamed)

    def find(self, op: Operation) -> Mapping[str, Any] | None:
        """What AWS says of the resource, with its key; None when it is gone."""
        key = self.key(op)
        answer = self.call(op, self.read_by, **key)
        found = answer[self.member] if self.member else answer
        return None if found.get(self.status_in) in self.deleted else {**key, **found}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """Pulumi's properties from what AWS says; a type with computed ones adds them here."""
        live = shapes.response(self.client(op), self.read_by, found, self.member, self.renamed)
        unset = self._unset()
        # An input that is not carried out may have another shape at AWS.
        known = schema.schema_of(op.token).outputs.keys() - (schema.inputs_of(op.token) - self.supports) - {"tagsAll"}
        return {name: unset.get(name) if value is None else value for name, value in live.items() if name in known}

    def status(self, op: Operation) -> str | None:
        """The resource's status; None when it is gone."""
        try:
            found = self.find(op)
        except ClientError as exc:
            if self.is_gone(exc):
                return None
            raise
        return None if found is None else self.status_of(op, found)

    def status_of(self, op: Operation, found: Mapping[str, Any]) -> str:
        """The status in what AWS says."""
        return str(found[self.status_in])

    # -- Shared --------------------------------------------------------------------------------------------------------

    def client(self, op: Operation) -> Any:
        """The boto3 client of the handler's service."""
        return op.client(self.service)

    def call(self, op: Operation, operation: str, **parameters: Any) -> Any:
        """Call an operation of the service by AWS's name of it."""
        return shapes.call(self.client(op), operation, **parameters)

    def _unset(self) -> dict[str, Any]:
        """The values of inputs that a program does not give."""
        return {**self.defaults, **self.empty}

    def _is_default(self, op: Operation, setting: Setting) -> bool:
        return all(op.inputs.get(name) in (self._unset().get(name), None, "") for name in setting.inputs.split())

    def _put_setting(self, op: Operation, setting: Setting) -> None:
        if setting.reset_by and self._is_default(op, setting):
            self.call(op, setting.reset_by, **self.key(op))
        else:
            given = {name: op.inputs.get(name, self._unset().get(name)) for name in setting.inputs.split()}
            renamed = {**self.renamed, **setting.renamed}
            request = shapes.request(self.client(op), setting.put_by, given, renamed)
            self.call(op, setting.put_by, **request | self.key(op))

    def wait(self, op: Operation, doing: str) -> None:
        """Wait until the resource is ready, if its type takes time for that."""
        if self.ready:
            self.wait_for(op, doing, pending=self.pending, target=self.ready)

    def wait_for(self, op: Operation, doing: str, *, pending: tuple[str, ...], target: tuple[str | None, ...]) -> None:
        """Wait through the pending statuses until one of the target; None means gone."""
        what = f"waiting for {self.title} ({op.id}) {doing}"
        op.wait(lambda: self.status(op), pending=pending, target=target, limit=self.limit, what=what)


class ListedResource(Resource):
    """A type that AWS only describes in lists; `identity` is the name of its members' own name, `member` the list's."""

    def search(self, op: Operation) -> dict[str, Any]:
        """Parameters that make the list shorter."""
        return {}

    def find(self, op: Operation) -> Mapping[str, Any] | None:
        """The member of the list that has the id as its name."""
        pages = self.client(op).get_paginator(shapes.method(self.read_by)).paginate(**self.search(op))
        (name,) = self.identity
        return next((item for page in pages for item in page[self.member] if item[name] == op.id), None)

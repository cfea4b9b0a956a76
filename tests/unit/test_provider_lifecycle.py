"""Behaviour that is the same for every type, with a handler that keeps its one resource in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from localcloud.provider import lifecycle
from localcloud.provider.caller import Caller
from localcloud.provider.connection import Connection
from localcloud.provider.errors import ProviderError
from localcloud.provider.lifecycle import PartialFailure
from localcloud.provider.operation import Operation
from localcloud.provider.property_values import UNKNOWN
from localcloud.provider.resource import AutoName, Resource, names
from localcloud.provider.tags import TagChange, Tagging

# The handler's properties are those of a queue; its cloud is not AWS.
TOKEN = "aws:sqs/queue:Queue"


class InMemory(Resource):
    """A handler whose cloud is a dictionary."""

    token = TOKEN
    service = "sqs"
    supports = names("name delaySeconds policy redrivePolicy fifoQueue")
    replace_on = names("name fifoQueue")
    auto_name = AutoName()
    defaults: ClassVar[Mapping[str, Any]] = {"delaySeconds": 0}
    kept = names("policy")
    tagging = Tagging()
    gone = ("Gone",)

    def __init__(self) -> None:
        self.cloud: dict[str, Any] | None = None
        self.fails: str = ""

    def create(self, op: Operation) -> None:
        if self.fails == "before":
            raise error("Refused")
        self.cloud = {**op.inputs, "arn": "arn", "tagsAll": op.all_tags}
        op.id = "one"
        if self.fails == "after":
            raise error("Wedged")

    def read(self, op: Operation) -> dict[str, Any] | None:
        if self.cloud is None:
            raise error("Gone")
        if self.fails == "read":
            raise error("Denied")
        return {key: value for key, value in self.cloud.items() if not key.startswith("__")}

    def update(self, op: Operation) -> None:
        if self.fails:
            raise error("Busy")
        self.cloud = {**(self.cloud or {}), **op.inputs}

    def delete(self, op: Operation) -> None:
        if self.cloud is None:
            raise error("Gone")
        if self.fails:
            raise error("Busy")
        self.cloud = None

    def change_tags(self, op: Operation, change: TagChange) -> None:
        assert self.cloud is not None
        self.cloud["tagsAll"] = op.all_tags


def error(code: str) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "r"}}
    return ClientError(answer, "DoIt")


def operation(inputs: Mapping[str, Any], **known: Any) -> Operation:
    environment = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-west-2"}
    caller = Caller(pid=1, environment=environment, folder=Path("/"))
    config = {"defaultTags": {"tags": known.pop("default_tags", {"team": "a"})}}
    return Operation(Connection(caller, config), TOKEN, inputs, **known)


def made(handler: InMemory, **inputs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and outputs of a created resource."""
    op = operation({"name": "n", "delaySeconds": 0, **inputs})
    return dict(op.inputs), lifecycle.create(handler, op)


def again(inputs: Mapping[str, Any], outputs: Mapping[str, Any], news: Mapping[str, Any], **more: Any) -> Operation:
    """An operation on what exists, for another program."""
    return operation(news, outputs=outputs, old_inputs=inputs, id="one", **more)


def test_outputs_are_the_inputs_the_live_properties_the_region_and_all_tags() -> None:
    _, outputs = made(InMemory(), tags={"x": "1"})
    assert outputs == {
        "arn": "arn",
        "delaySeconds": 0,
        "name": "n",
        "region": "us-west-2",
        "tags": {"x": "1"},
        "tagsAll": {"team": "a", "x": "1"},
    }


def test_a_create_that_fails_after_the_resource_exists_reports_its_id_and_properties() -> None:
    handler = InMemory()
    handler.fails = "after"
    with pytest.raises(PartialFailure, match=r"operation error SQS: DoIt, .*StatusCode: 400, .*Wedged: why") as failed:
        made(handler)
    assert failed.value.id == "one"
    assert failed.value.outputs["arn"] == "arn"
    handler.fails = "read"
    with pytest.raises(PartialFailure, match="Denied") as failed:
        made(handler)
    assert failed.value.id == "one", "the resource exists, although it could not be read"
    handler.fails = "before"
    with pytest.raises(ProviderError, match="Refused"):
        made(handler)


def test_an_update_that_fails_leaves_the_wanted_values_in_the_outputs_so_that_the_next_diff_is_empty() -> None:
    handler = InMemory()
    inputs, outputs = made(handler)
    handler.fails = "update"
    news = {**inputs, "delaySeconds": 5}
    with pytest.raises(PartialFailure) as failed:
        lifecycle.update(handler, again(inputs, outputs, news))
    assert failed.value.outputs["delaySeconds"] == 5
    assert lifecycle.changes(handler, again(inputs, failed.value.outputs, news)) == []

    handler.fails = ""
    healed = lifecycle.update(handler, again(inputs, failed.value.outputs, news))
    assert healed["delaySeconds"] == 0, "an update without changes reads the live values"
    assert lifecycle.changes(handler, again(news, healed, news)) != []


def test_a_refresh_reads_live_properties_and_finds_nothing_when_the_resource_is_gone() -> None:
    handler = InMemory()
    inputs, outputs = made(handler, tags={"x": "1"})
    assert handler.cloud is not None
    handler.cloud |= {"delaySeconds": 9, "tagsAll": {"team": "a", "x": "2", "foreign": "f"}}
    live = lifecycle.read(handler, again({}, outputs, inputs), imported=False)
    assert live is not None
    assert live.inputs == {"name": "n", "delaySeconds": 9, "tags": {"x": "2", "foreign": "f"}}
    assert [change.path for change in lifecycle.changes(handler, again(live.inputs, live.outputs, inputs))] == [
        "delaySeconds",
        "tags.x",
        "tags.foreign",
    ]
    handler.cloud = None
    assert lifecycle.read(handler, again({}, outputs, inputs), imported=False) is None
    lifecycle.delete(handler, again({}, outputs, inputs))


def test_an_import_finds_the_inputs_that_a_program_would_need() -> None:
    handler = InMemory()
    made(handler, policy="{}")
    live = lifecycle.read(handler, operation({}, id="one"), imported=True)
    assert live is not None
    assert live.inputs == {"name": "n", "delaySeconds": 0}


def test_json_with_the_same_meaning_keeps_the_programs_layout() -> None:
    handler = InMemory()
    inputs, outputs = made(handler, redrivePolicy='{"a": 1}')
    assert handler.cloud is not None
    handler.cloud["redrivePolicy"] = '{"a":1}'
    live = lifecycle.read(handler, again({}, outputs, inputs), imported=False)
    assert live is not None
    assert live.inputs["redrivePolicy"] == live.outputs["redrivePolicy"] == '{"a": 1}'


def test_an_input_that_aws_keeps_may_be_left_out() -> None:
    handler = InMemory()
    inputs, outputs = made(handler, policy="{}", redrivePolicy="{}")
    news = {key: value for key, value in inputs.items() if key not in ("policy", "redrivePolicy")}
    assert [change.path for change in lifecycle.changes(handler, again(inputs, outputs, news))] == ["redrivePolicy"]


def test_changed_default_tags_change_resources_that_have_them() -> None:
    handler = InMemory()
    inputs, outputs = made(handler)
    op = again(inputs, outputs, inputs, default_tags={"team": "b"})
    assert [change.path for change in lifecycle.changes(handler, op)] == ["tagsAll.team"]
    assert lifecycle.update(handler, op)["tagsAll"] == {"team": "b"}


def test_a_preview_knows_only_the_inputs_and_all_tags() -> None:
    known = lifecycle.preview(InMemory(), operation({"name": "n", "policy": UNKNOWN}))
    assert known["name"] == "n"
    assert known["tagsAll"] == {"team": "a"}
    assert known["arn"] is known["policy"] is known["url"] is UNKNOWN


def checked(given: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    return lifecycle.check(InMemory(), operation(given), old or {}, "logical", b"seed")


def test_a_check_makes_up_a_missing_name_once_and_fills_in_defaults() -> None:
    first, failures = checked({})
    assert failures == []
    assert first["name"].startswith("logical-")
    assert first["delaySeconds"] == 0
    assert checked({}, first)[0]["name"] == first["name"]
    assert checked({}, {"name": "given"})[0]["name"] != "given", "a name that the program gave before is not kept"


def test_an_input_that_is_not_carried_out_is_refused() -> None:
    _, failures = checked({"maxMessageSize": 1})
    assert [failure.path for failure in failures] == ["maxMessageSize"]
    assert "is not carried out" in failures[0].reason


def test_a_replacement_deletes_first_only_when_a_given_name_stays_the_same() -> None:
    handler = InMemory()
    inputs, outputs = made(handler)
    assert lifecycle.deletes_first(handler, again(inputs, outputs, {**inputs, "fifoQueue": True}))
    assert not lifecycle.deletes_first(handler, again(inputs, outputs, {**inputs, "name": "other"}))
    made_up = {**inputs, "__defaults": ["name"]}
    assert not lifecycle.deletes_first(handler, again(made_up, outputs, {**made_up, "fifoQueue": True}))


def test_a_cancelled_connection_creates_nothing() -> None:
    handler = InMemory()
    op = operation({"name": "n"})
    op.connection.cancelled.set()
    with pytest.raises(ProviderError, match="context canceled"):
        lifecycle.create(handler, op)
    assert handler.cloud is None

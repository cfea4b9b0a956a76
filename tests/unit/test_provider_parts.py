"""Small parts: tags, names, property values, shapes, waits, access."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from pulumi.runtime import rpc

from localcloud.provider import shapes, tags
from localcloud.provider.caller import Caller
from localcloud.provider.clients import access_of, service_id
from localcloud.provider.connection import Connection
from localcloud.provider.errors import ProviderError
from localcloud.provider.operation import Operation
from localcloud.provider.property_values import UNKNOWN, decode, encode, has_unknown
from localcloud.provider.resource import AutoName
from localcloud.provider.tags import Tagging

TOKEN = "aws:sqs/queue:Queue"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-west-2"}


def operation(**given: Any) -> Operation:
    caller = Caller(pid=os.getpid(), environment=ENVIRONMENT, folder=Path("/"))
    return Operation(Connection(caller, given.pop("config", {})), TOKEN, given.pop("inputs", {}), **given)


def client_of(service: str) -> Any:
    session = botocore.session.Session()
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    return session.create_client(service, "us-west-2", endpoint_url="http://127.0.0.1:1", **keys)


# -- Tags --------------------------------------------------------------------------------------------------------------


def test_a_resources_own_tags_win_over_default_tags() -> None:
    assert tags.merged({"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}
    assert tags.merged({"a": "1"}, None) == {"a": "1"}
    assert tags.merged({"a": "1"}, UNKNOWN) is UNKNOWN
    assert operation(config={"defaultTags": {"tags": {"a": "1"}}}, inputs={"tags": {"b": "2"}}).all_tags == {
        "a": "1",
        "b": "2",
    }


def test_a_tag_change_sets_tags_that_differ_and_removes_tags_that_are_not_wanted() -> None:
    change = tags.change({"same": "1", "old": "1", "new": "1"}, {"same": "1", "new": "2", "added": "1"})
    assert change == tags.TagChange(put={"new": "2", "added": "1"}, remove=["old"])
    assert not tags.change({"a": "1"}, {"a": "1"})


def test_unchanged_default_tags_are_not_the_resources_own() -> None:
    live = {"team": "a", "kept": "b", "foreign": "c", "changed": "x"}
    assert tags.own_of(live, {"team": "a", "kept": "b", "changed": "y"}, {"kept": "b"}) == {
        "kept": "b",
        "foreign": "c",
        "changed": "x",
    }


@pytest.mark.parametrize(
    ("service", "tagging", "key", "answer", "put"),
    [
        (
            "kms",
            Tagging(list_by="ListResourceTags"),
            "KeyId",
            {"Tags": [{"TagKey": "aws:x", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]},
            [{"TagKey": "b", "TagValue": "3"}],
        ),
        ("apigatewayv2", Tagging(list_by="GetTags"), "ResourceArn", {"Tags": {"aws:x": "1", "a": "2"}}, {"b": "3"}),
    ],
)
def test_tags_are_read_and_changed_in_the_form_of_the_service_and_without_those_of_aws(
    service: str, tagging: Tagging, key: str, answer: Any, put: Any
) -> None:
    client = client_of(service)
    with Stubber(client) as aws:
        aws.add_response(shapes.method(tagging.list_by), answer, {key: "one"})
        aws.add_response("untag_resource", {}, {key: "one", "TagKeys": ["a"]})
        aws.add_response("tag_resource", {}, {key: "one", "Tags": put})
        assert tagging.read(client, "one") == {"a": "2"}
        tagging.change(client, "one", tags.TagChange(put={"b": "3"}, remove=["a"]))
        aws.assert_no_pending_responses()


# -- Names -------------------------------------------------------------------------------------------------------------


def test_the_seed_decides_the_name() -> None:
    one, again, other = (AutoName().name_for("table", seed) for seed in (b"1", b"1", b"2"))
    assert one == again != other
    assert one.startswith("table-")
    assert len(one) == len("table-") + 7
    assert AutoName().name_for("table", b"") != AutoName().name_for("table", b"")


def test_a_name_keeps_the_services_limits() -> None:
    assert len(AutoName(longest=20).name_for("a" * 50, b"1")) == 20
    assert AutoName(lower=True).name_for("MyKey", b"1").startswith("mykey-")


# -- Property values ---------------------------------------------------------------------------------------------------


def test_decoding_gives_back_what_was_encoded() -> None:
    properties = {"text": "a", "whole": 3, "part": 1.5, "flag": True, "list": [1, {"x": UNKNOWN}], "nested": {"a": {}}}
    back = decode(encode(properties))
    assert back == properties
    assert type(back["whole"]) is int
    assert has_unknown(back)


def test_pulumis_mark_of_an_unknown_value_is_decoded() -> None:
    assert decode(encode({"a": rpc.UNKNOWN}))["a"] is UNKNOWN


def test_nulls_are_left_out_and_secrets_are_unwrapped() -> None:
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "s3cret"}
    output = {rpc._special_sig_key: rpc._special_output_value_sig, "secret": False}
    assert decode(encode({"a": secret, "b": output})) == {"a": "s3cret", "b": UNKNOWN}
    assert encode({"a": None, "b": {"c": None}}) == encode({"b": {}})


# -- Shapes ------------------------------------------------------------------------------------------------------------


def test_properties_take_the_services_names_and_keys_of_maps_stay() -> None:
    client = client_of("apprunner")
    image = {
        "imageIdentifier": "i",
        "imageConfiguration": {"port": 80, "runtimeEnvironmentVariables": {"camelCase": "1"}},
    }
    given = {"serviceName": "s", "sourceConfiguration": {"imageRepository": image}, "unheard": 1}
    request = shapes.request(client, "CreateService", given)
    config = {"Port": "80", "RuntimeEnvironmentVariables": {"camelCase": "1"}}
    repository = {"ImageIdentifier": "i", "ImageConfiguration": config}
    assert request == {"ServiceName": "s", "SourceConfiguration": {"ImageRepository": repository}}
    found = {"ServiceName": "s", "SourceConfiguration": {"ImageRepository": repository}, "NetworkConfiguration": {}}
    live = shapes.response(client, "DescribeService", found, "Service")
    image["imageConfiguration"]["port"] = "80"  # type: ignore[index]
    assert {name: value for name, value in live.items() if value is not None} == {
        "serviceName": "s",
        "sourceConfiguration": {"imageRepository": image},
    }
    assert live["serviceUrl"] is live["networkConfiguration"] is None


def test_renamed_properties_are_found_at_any_depth_in_both_directions() -> None:
    client, renamed = client_of("apigatewayv2"), {"identitySources": "IdentitySource", "audiences": "Audience"}
    given = {"identitySources": ["header"], "jwtConfiguration": {"audiences": ["us"], "issuer": "i"}}
    request = shapes.request(client, "CreateAuthorizer", given, renamed)
    assert request == {"IdentitySource": ["header"], "JwtConfiguration": {"Audience": ["us"], "Issuer": "i"}}
    live = shapes.response(client, "GetAuthorizer", request, renamed=renamed)
    assert {name: live[name] for name in given} == given


def test_maps_become_lists_of_names_and_values_and_documents_become_texts_where_the_service_wants_that() -> None:
    alarm = shapes.request(client_of("cloudwatch"), "PutMetricAlarm", {"dimensions": {"service": "one"}})
    assert alarm == {"Dimensions": [{"Name": "service", "Value": "one"}]}
    assert shapes.as_map(alarm["Dimensions"]) == {"service": "one"}
    iam = client_of("iam")
    document: dict[str, Any] = {"Statement": []}
    policy = shapes.request(iam, "PutRolePolicy", {"policyDocument": document})
    assert policy == {"PolicyDocument": '{"Statement": []}'}
    assert shapes.response(iam, "GetRolePolicy", {"PolicyDocument": document})["policyDocument"] == '{"Statement": []}'


# -- Waits -------------------------------------------------------------------------------------------------------------


def wait(op: Operation, statuses: list[str | None], limit: float = 60) -> None:
    op.wait(lambda: statuses.pop(0), pending=("BUSY",), target=("DONE", None), limit=limit, what="waiting")


def test_a_wait_ends_with_the_wanted_status_or_with_an_error() -> None:
    wait(operation(), ["BUSY", "DONE"])
    wait(operation(), [None])
    with pytest.raises(ProviderError, match="waiting: unexpected state 'BROKEN', wanted target 'DONE'"):
        wait(operation(), ["BUSY", "BROKEN"])
    with pytest.raises(ProviderError, match=r"state to become 'DONE' \(last state: 'BUSY'\)"):
        wait(operation(timeout=0.01), ["BUSY"] * 9, limit=9999)


def test_a_wait_ends_when_the_engine_cancels_or_disconnects() -> None:
    cancelled = operation()
    threading.Timer(0.05, cancelled.connection.cancelled.set).start()
    with pytest.raises(ProviderError, match="context canceled"):
        cancelled.pause(600)
    with pytest.raises(ProviderError, match="context canceled"):
        wait(operation(alive=lambda: False), ["BUSY"] * 9)


# -- Access ------------------------------------------------------------------------------------------------------------


def test_explicit_configuration_wins_over_the_callers_environment() -> None:
    environment = {**ENVIRONMENT, "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL": "http://a"}
    config = {"accessKey": "x", "secretKey": "y", "region": "eu-west-1", "endpoints": [{"sqs": "http://b"}]}
    access = access_of(environment, config)
    assert (access.access_key, access.secret_key, access.region) == ("x", "y", "eu-west-1")
    assert access.token is None, "the environment's session token belongs to the environment's keys"
    assert (access.endpoint("sqs"), access.endpoint("s3")) == ("http://b", "http://a")


def test_the_endpoint_variable_of_a_service_has_the_services_aws_name() -> None:
    variables = {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://logs", "AWS_ENDPOINT_URL_APPRUNNER": "http://runner"}
    access = access_of(ENVIRONMENT | variables, {})
    assert (access.endpoint("logs"), access.endpoint("apprunner")) == ("http://logs", "http://runner")
    assert service_id("apprunner") == "AppRunner"
    with pytest.raises(ProviderError, match="never talks to AWS itself"):
        access.endpoint("s3")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"])
def test_missing_keys_or_a_missing_region_are_an_error(missing: str) -> None:
    with pytest.raises(ProviderError):
        access_of({name: value for name, value in ENVIRONMENT.items() if name != missing}, {})

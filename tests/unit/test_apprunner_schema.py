"""Requests and answers of the App Runner emulator against botocore's model."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.model import Shape

from localcloud.apprunner.errors import ApiError, InvalidRequest, Malformed
from localcloud.apprunner.operations import find, load_apis
from localcloud.apprunner.schema import load_model, parse, serialise

MODEL = load_model("apprunner")
IMAGE = {"ImageRepository": {"ImageIdentifier": "public.ecr.aws/a/b:c", "ImageRepositoryType": "ECR_PUBLIC"}}


def shape(operation: str) -> Shape:
    found = MODEL.operation_model(operation).input_shape
    assert found is not None
    return found


def create(**members: Any) -> dict[str, Any]:
    return parse(shape("CreateService"), {"ServiceName": "hello", "SourceConfiguration": IMAGE} | members)


def test_a_valid_request_is_not_changed() -> None:
    assert create() == {"ServiceName": "hello", "SourceConfiguration": IMAGE}


def test_unknown_and_null_members_are_dropped_at_every_depth() -> None:
    source = {"ImageRepository": IMAGE["ImageRepository"] | {"New": 1, "ImageConfiguration": None}}
    assert create(Colour="blue", Tags=None, SourceConfiguration=source) == create()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"ServiceName": "-ab"},
            "2 validation errors detected: Value '-ab' at 'serviceName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 4; Value '-ab' at 'serviceName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9-_]{3,39}",
        ),
        (
            {"HealthCheckConfiguration": {"Interval": 0}},
            "1 validation error detected: Value '0' at 'healthCheckConfiguration.interval' failed to satisfy "
            "constraint: Member must have value greater than or equal to 1",
        ),
        (
            {"SourceConfiguration": {"ImageRepository": {"ImageRepositoryType": "ECR"}}},
            "1 validation error detected: Value null at 'sourceConfiguration.imageRepository.imageIdentifier' failed "
            "to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_a_broken_constraint_is_reported_in_aws_s_words(members: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create(**members)
    assert refused.value.message == expected


@pytest.mark.parametrize("name", ["hello\n", "héllo", "hello "])
def test_patterns_match_the_whole_value_in_ascii(name: str) -> None:
    with pytest.raises(InvalidRequest):
        create(ServiceName=name)


@pytest.mark.parametrize(
    "members",
    [{"ServiceName": 4}, {"Tags": {}}, {"HealthCheckConfiguration": {"Interval": "5"}}, {"SourceConfiguration": []}],
)
def test_a_value_of_another_type_is_malformed(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        create(**members)


def test_a_message_is_no_longer_than_aws_s() -> None:
    with pytest.raises(InvalidRequest) as refused:
        create(ServiceName="x" * 5000)
    assert len(refused.value.message) == 600


def test_answers_omit_none_and_allow_only_members_of_their_shape() -> None:
    output = MODEL.operation_model("ListServices").output_shape
    summary = {"ServiceName": "hello", "ServiceUrl": None}
    assert serialise(output, {"ServiceSummaryList": [summary], "NextToken": None}) == {
        "ServiceSummaryList": [{"ServiceName": "hello"}]
    }
    with pytest.raises(KeyError):
        serialise(output, {"Services": []})


def test_every_operation_of_the_table_is_one_of_botocore_s() -> None:
    apis = load_apis()
    for prefix, api in apis.items():
        for name in api.functions:
            assert find(apis, f"{prefix}.{name}").operation.name == name


def test_the_emulator_has_every_error_that_app_runner_declares_for_its_operations() -> None:
    names = {error.code for error in ApiError.__subclasses__()} | {ApiError.code}
    for name in load_apis()["AppRunner"].functions:
        assert {each.name for each in MODEL.operation_model(name).error_shapes} <= names

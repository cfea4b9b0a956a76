"""Inputs against the types of Pulumi's own packages."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.provider.property_values import UNKNOWN
from localcloud.provider.schema import Failure, check, inputs_of, join, schema_of

pytestmark = pytest.mark.filterwarnings("ignore:.* has been deprecated in favor of:DeprecationWarning")

SERVICE = "aws:apprunner/service:Service"
TABLE = "aws:dynamodb/table:Table"


def service(**image: Any) -> dict[str, Any]:
    return {
        "serviceName": "name",
        "sourceConfiguration": {
            "imageRepository": {"imageIdentifier": "i", "imageRepositoryType": "ECR_PUBLIC", **image}
        },
    }


def test_known_inputs_pass() -> None:
    assert check(SERVICE, service()) == (service(), [])


def test_a_misspelt_property_is_reported_with_its_path_and_the_nearest_name() -> None:
    _, failures = check(SERVICE, service(imageConfigurations={}))
    path = "sourceConfiguration.imageRepository.imageConfigurations"
    assert failures == [Failure(path, "Unknown property 'imageConfigurations'; did you mean 'imageConfiguration'?")]


def test_a_property_in_pythons_spelling_is_recognised() -> None:
    _, failures = check(SERVICE, {**service(), "auto_scaling_configuration_arn": "arn"})
    assert "did you mean 'autoScalingConfigurationArn'?" in failures[0].reason


def test_an_unknown_property_without_a_similar_name_gets_no_hint() -> None:
    _, failures = check(SERVICE, {**service(), "zzzzz": 1})
    assert failures == [Failure("zzzzz", "Unknown property 'zzzzz'")]


def test_missing_properties_are_reported_also_inside_lists() -> None:
    _, failures = check(TABLE, {"attributes": [{"name": "pk", "type": "S"}, {"name": "sk"}]})
    assert failures == [Failure("attributes[1].type", "Missing required property 'type'")]
    _, failures = check(SERVICE, {"serviceName": "x"})
    assert failures == [Failure("sourceConfiguration", "Missing required property 'sourceConfiguration'")]


@pytest.mark.parametrize(
    ("given", "becomes"),
    [({"timeout": "30"}, 30), ({"timeout": 30}, 30), ({"handler": 5}, "5"), ({"publish": "true"}, True)],
)
def test_scalars_take_the_schemas_type_as_in_the_wrapped_plug_in(given: dict[str, Any], becomes: Any) -> None:
    checked, failures = check("aws:lambda/function:Function", {"role": "r", **given})
    assert failures == []
    (name,) = given
    assert checked[name] == becomes
    assert type(checked[name]) is type(becomes)


@pytest.mark.parametrize(
    "given", [{"timeout": "soon"}, {"publish": "maybe"}, {"handler": ["a"]}, {"environment": "A=1"}, {"layers": "one"}]
)
def test_a_value_of_another_kind_is_refused(given: dict[str, Any]) -> None:
    _, failures = check("aws:lambda/function:Function", {"role": "r", **given})
    assert [failure.path for failure in failures] == list(given)


def test_unknown_values_pass_everywhere() -> None:
    given = {"serviceName": UNKNOWN, "sourceConfiguration": {"imageRepository": UNKNOWN}, "tags": {"a": UNKNOWN}}
    assert check(SERVICE, given) == (given, [])


def test_keys_of_maps_are_not_checked() -> None:
    tags = {"fibfactory:owner": "me", "zzz": "1"}
    assert check(SERVICE, {**service(), "tags": tags})[1] == []


def test_notes_of_the_wrapped_plug_in_are_not_checked() -> None:
    assert check(SERVICE, {**service(), "__defaults": ["serviceName"]})[1] == []


def test_outputs_and_inputs_come_from_the_package() -> None:
    assert {"arn", "serviceUrl", "status", "tagsAll", "serviceName"} <= schema_of(SERVICE).outputs.keys()
    assert "repoDigest" in schema_of("docker:index/image:Image").outputs
    assert "arn" not in inputs_of(SERVICE)


def test_a_provider_has_a_schema_too() -> None:
    assert check("pulumi:providers:aws", {"region": "us-west-2", "defaultTags": {"tags": {"a": "1"}}})[1] == []
    assert check("pulumi:providers:aws", {"regoin": "us-west-2"})[1][0].reason.endswith("did you mean 'region'?")


@pytest.mark.parametrize("token", ["aws:nothing/here:Here", "aws:s3/bucket:Nothing", "gcp:index/thing:Thing"])
def test_a_token_that_is_in_no_package_is_an_error(token: str) -> None:
    with pytest.raises(LookupError):
        schema_of(token)


def test_keys_that_are_not_plain_names_are_quoted_in_paths() -> None:
    assert join(join(join("", "tags"), "a.b"), 0) == 'tags["a.b"][0]'
    assert join("a", "b") == "a.b"

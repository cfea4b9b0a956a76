"""Lists of the App Runner emulator: pages, tags, the tagging API, and the default automatic scaling configuration."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.apprunner_fixtures import (  # noqa: F401
    Lab,
    client,
    fixture_images_file,
    fixture_lab,
    refused,
)

INVALID = "InvalidRequestException"


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def found_names(answer: dict[str, Any]) -> list[str]:
    return [each["ResourceARN"].split("/")[1] for each in answer["ResourceTagMappingList"]]


def test_services_are_listed_in_pages_that_survive_a_delete_between_them(lab: Lab) -> None:
    services = [lab.created(f"service-{number}") for number in range(5)]
    first = lab.apprunner.list_services(MaxResults=2)
    lab.after("delete", services[0]["ServiceArn"])
    second = lab.apprunner.list_services(MaxResults=2, NextToken=first["NextToken"])
    third = lab.apprunner.list_services(MaxResults=2, NextToken=second["NextToken"])
    names = [each["ServiceName"] for page in (first, second, third) for each in page["ServiceSummaryList"]]
    assert names == [f"service-{number}" for number in range(5)]
    assert "NextToken" not in third
    assert {each["Status"] for each in first["ServiceSummaryList"]} == {"RUNNING"}


def test_operations_are_listed_newest_first_in_pages(lab: Lab) -> None:
    arn = lab.created("hello")["ServiceArn"]
    for call in (lab.apprunner.pause_service, lab.apprunner.resume_service, lab.apprunner.delete_service):
        call(ServiceArn=arn)
        lab.settled(arn)
    first = lab.apprunner.list_operations(ServiceArn=arn, MaxResults=3)
    second = lab.apprunner.list_operations(ServiceArn=arn, MaxResults=3, NextToken=first["NextToken"])
    kinds = [each["Type"] for page in (first, second) for each in page["OperationSummaryList"]]
    assert kinds == ["DELETE_SERVICE", "RESUME_SERVICE", "PAUSE_SERVICE", "CREATE_SERVICE"]


def test_a_token_of_one_list_is_refused_by_another(lab: Lab) -> None:
    for name in ("first", "second"):
        lab.create(name)
    token = lab.apprunner.list_services(MaxResults=1)["NextToken"]
    arn = lab.describe(lab.admin.services()[0].arn)["ServiceArn"]
    assert refused(lab.apprunner.list_operations, ServiceArn=arn, NextToken=token)[0] == INVALID


def test_tags_are_added_changed_listed_and_removed(lab: Lab) -> None:
    arn = lab.created("hello", Tags=tags(owner="alice", stage="test"))["ServiceArn"]
    lab.apprunner.tag_resource(ResourceArn=arn, Tags=tags(stage="proof", colour="blue"))
    lab.apprunner.untag_resource(ResourceArn=arn, TagKeys=["owner", "never-there"])
    assert lab.apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags(stage="proof", colour="blue")
    many = tags(**{f"k{number}": "x" for number in range(49)})
    assert refused(lab.apprunner.tag_resource, ResourceArn=arn, Tags=many)[0] == INVALID
    lab.after("delete", arn)
    assert refused(lab.apprunner.tag_resource, ResourceArn=arn, Tags=tags(a="b"))[0] == "InvalidStateException"


def test_changing_tags_is_no_operation_and_works_on_a_busy_service(lab: Lab) -> None:
    lab.admin.inject("wedge")
    arn = lab.create("hello")["ServiceArn"]
    lab.apprunner.tag_resource(ResourceArn=arn, Tags=tags(a="b"))
    assert len(lab.operations(arn)) == 1


def test_the_tagging_api_finds_services_by_all_filters_together(lab: Lab) -> None:
    lab.create("blue-alice", Tags=tags(colour="blue", owner="alice"))
    lab.create("blue-bob", Tags=tags(colour="blue", owner="bob"))
    lab.create("red-bob", Tags=tags(colour="red", owner="bob"))
    lab.create("untagged")
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)

    def find(*filters: dict[str, Any]) -> list[str]:
        return found_names(tagging.get_resources(TagFilters=list(filters)))

    assert find() == ["blue-alice", "blue-bob", "red-bob"]
    assert find({"Key": "owner"}) == ["blue-alice", "blue-bob", "red-bob"]
    assert find({"Key": "owner", "Values": ["bob", "carol"]}) == ["blue-bob", "red-bob"]
    assert find({"Key": "owner", "Values": ["bob"]}, {"Key": "colour", "Values": ["blue"]}) == ["blue-bob"]
    assert find({"Key": "nothing"}) == []
    [found] = tagging.get_resources(TagFilters=[{"Key": "colour", "Values": ["red"]}])["ResourceTagMappingList"]
    assert found["Tags"] == tags(colour="red", owner="bob")
    elsewhere = client("resourcegroupstaggingapi", lab.emulator.url, region="eu-west-1")
    assert elsewhere.get_resources()["ResourceTagMappingList"] == []


def test_the_tagging_api_does_not_find_deleted_services(lab: Lab) -> None:
    arn = lab.created("hello", Tags=tags(owner="alice"))["ServiceArn"]
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    assert found_names(tagging.get_resources()) == ["hello"]
    lab.after("delete", arn)
    assert tagging.get_resources()["ResourceTagMappingList"] == []


def test_the_tagging_api_answers_in_pages(lab: Lab) -> None:
    for number in range(5):
        lab.create(f"service-{number}", Tags=tags(owner="alice"))
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    pages = list(tagging.get_paginator("get_resources").paginate(ResourcesPerPage=2))
    assert [len(page["ResourceTagMappingList"]) for page in pages] == [2, 2, 1]
    assert [name for page in pages for name in found_names(page)] == [f"service-{number}" for number in range(5)]
    assert pages[-1]["PaginationToken"] == ""


@pytest.mark.parametrize(
    "request_",
    [
        {"ResourcesPerPage": 101},
        {"TagsPerPage": 100},
        {"ResourceTypeFilters": ["apprunner"]},
        {"PaginationToken": "forged"},
        {"TagFilters": [{"Values": ["x"]}]},
        {"TagFilters": [{"Key": "k", "Values": ["x"] * 21}]},
        {"ResourceARNList": ["arn:aws:s3:::bucket"]},
    ],
)
def test_the_tagging_api_refuses_with_its_own_error_name(lab: Lab, request_: dict[str, Any]) -> None:
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    assert refused(tagging.get_resources, **request_)[0] == "InvalidParameterException"


DEFAULT_SCALING = (
    "arn:aws:apprunner:us-west-2:000000000000:autoscalingconfiguration/DefaultConfiguration/1/" + "1".zfill(32)
)


def test_every_service_uses_the_default_scaling_configuration(lab: Lab) -> None:
    assert lab.create("hello")["AutoScalingConfigurationSummary"] == {
        "AutoScalingConfigurationArn": DEFAULT_SCALING,
        "AutoScalingConfigurationName": "DefaultConfiguration",
        "AutoScalingConfigurationRevision": 1,
        "Status": "active",
    }


def test_a_named_scaling_configuration_is_refused_and_nothing_changes(lab: Lab) -> None:
    plain = lab.created("plain")["ServiceArn"]
    named = {"AutoScalingConfigurationArn": DEFAULT_SCALING}
    assert refused(lab.create, name="hello", **named)[0] == INVALID
    assert refused(lab.apprunner.update_service, ServiceArn=plain, **named)[0] == INVALID
    assert lab.names() == ["plain"]
    assert lab.operations(plain) == [("CREATE_SERVICE", "SUCCEEDED")]


@pytest.mark.parametrize("operation", ["create", "describe", "delete", "update_default"])
def test_the_operations_on_scaling_configurations_are_not_emulated(lab: Lab, operation: str) -> None:
    call = getattr(lab.apprunner, f"{operation}_auto_scaling_configuration")
    named = {"Name": "steady"} if operation == "create" else {"Arn": DEFAULT_SCALING}
    code, message = refused(call, **{f"AutoScalingConfiguration{key}": value for key, value in named.items()})
    assert code == "UnknownOperationException"
    assert message.startswith("The emulator does not have AppRunner.")


def test_the_default_scaling_configuration_has_no_tags(lab: Lab) -> None:
    calls = lab.apprunner
    assert refused(calls.list_tags_for_resource, ResourceArn=DEFAULT_SCALING)[0] == "ResourceNotFoundException"
    assert refused(calls.tag_resource, ResourceArn=DEFAULT_SCALING, Tags=tags(a="b"))[0] == "ResourceNotFoundException"

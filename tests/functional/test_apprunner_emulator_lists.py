"""Lists of the App Runner emulator: pages, tags, the tagging API, automatic scaling configurations."""

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
    lab.apprunner.delete_service(ServiceArn=services[0]["ServiceArn"])
    lab.settled(services[0]["ServiceArn"])
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


def test_tags_are_added_changed_listed_and_taken_away(lab: Lab) -> None:
    arn = lab.created("hello", Tags=tags(owner="alice", stage="test"))["ServiceArn"]
    lab.apprunner.tag_resource(ResourceArn=arn, Tags=tags(stage="proof", colour="blue"))
    lab.apprunner.untag_resource(ResourceArn=arn, TagKeys=["owner", "never-there"])
    assert lab.apprunner.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags(stage="proof", colour="blue")
    many = tags(**{f"k{number}": "x" for number in range(49)})
    assert refused(lab.apprunner.tag_resource, ResourceArn=arn, Tags=many)[0] == INVALID
    lab.apprunner.delete_service(ServiceArn=arn)
    lab.settled(arn)
    assert refused(lab.apprunner.tag_resource, ResourceArn=arn, Tags=tags(a="b"))[0] == "InvalidStateException"


def test_a_change_of_tags_is_no_operation_and_works_on_a_busy_service(lab: Lab) -> None:
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

    def find(*filters: dict[str, Any], **more: Any) -> list[str]:
        return found_names(tagging.get_resources(TagFilters=list(filters), **more))

    assert find() == ["blue-alice", "blue-bob", "red-bob"]
    assert find({"Key": "owner"}) == ["blue-alice", "blue-bob", "red-bob"]
    assert find({"Key": "owner", "Values": ["bob", "carol"]}) == ["blue-bob", "red-bob"]
    assert find({"Key": "owner", "Values": ["bob"]}, {"Key": "colour", "Values": ["blue"]}) == ["blue-bob"]
    assert find({"Key": "nothing"}) == []
    assert find(ResourceTypeFilters=["apprunner"]) == ["blue-alice", "blue-bob", "red-bob"]
    assert find({"Key": "owner", "Values": ["alice"]}, ResourceTypeFilters=["apprunner:service"]) == ["blue-alice"]
    assert find(ResourceTypeFilters=["s3", "apprunner:connection"]) == []
    [found] = tagging.get_resources(TagFilters=[{"Key": "colour", "Values": ["red"]}])["ResourceTagMappingList"]
    assert found["Tags"] == tags(colour="red", owner="bob")
    elsewhere = client("resourcegroupstaggingapi", lab.emulator.url, region="eu-west-1")
    assert elsewhere.get_resources()["ResourceTagMappingList"] == []


def test_the_tagging_api_does_not_find_what_is_deleted(lab: Lab) -> None:
    arn = lab.created("hello", Tags=tags(owner="alice"))["ServiceArn"]
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    assert found_names(tagging.get_resources(ResourceARNList=[arn])) == ["hello"]
    lab.apprunner.delete_service(ServiceArn=arn)
    lab.settled(arn)
    assert tagging.get_resources(ResourceARNList=[arn])["ResourceTagMappingList"] == []


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
        {"TagsPerPage": 1},
        {"PaginationToken": "forged"},
        {"TagFilters": [{"Values": ["x"]}]},
        {"TagFilters": [{"Key": "k", "Values": ["x"] * 21}]},
        {"ResourceARNList": ["arn:aws:s3:::bucket"], "ResourcesPerPage": 1},
    ],
)
def test_the_tagging_api_refuses_by_its_own_name(lab: Lab, request_: dict[str, Any]) -> None:
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    assert refused(tagging.get_resources, **request_)[0] == "InvalidParameterException"


def test_automatic_scaling_configurations_have_revisions_of_which_one_is_the_latest(lab: Lab) -> None:
    make = lab.apprunner.create_auto_scaling_configuration
    first = make(AutoScalingConfigurationName="steady")["AutoScalingConfiguration"]
    second = make(AutoScalingConfigurationName="steady", MaxConcurrency=50, MaxSize=2)["AutoScalingConfiguration"]
    assert (first["MaxConcurrency"], first["MinSize"], first["MaxSize"]) == (100, 1, 25)
    assert (second["MaxConcurrency"], second["MinSize"], second["MaxSize"]) == (50, 1, 2)
    assert (first["AutoScalingConfigurationRevision"], second["AutoScalingConfigurationRevision"]) == (1, 2)
    assert second["Status"] == "active"
    describe = lab.apprunner.describe_auto_scaling_configuration
    by_name = second["AutoScalingConfigurationArn"].rsplit("/", 2)[0]
    found = describe(AutoScalingConfigurationArn=by_name)["AutoScalingConfiguration"]
    assert (found["AutoScalingConfigurationArn"], found["Latest"]) == (second["AutoScalingConfigurationArn"], True)
    old = describe(AutoScalingConfigurationArn=f"{by_name}/1")["AutoScalingConfiguration"]
    assert (old["AutoScalingConfigurationArn"], old["Latest"]) == (first["AutoScalingConfigurationArn"], False)


def test_automatic_scaling_configurations_are_listed_in_pages_and_by_name(lab: Lab) -> None:
    for name in ("steady", "steady", "bursty"):
        lab.apprunner.create_auto_scaling_configuration(AutoScalingConfigurationName=name)

    def listed(**request: Any) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        answer = lab.apprunner.list_auto_scaling_configurations(MaxResults=2, **request)
        while True:
            found += [
                (each["AutoScalingConfigurationName"], each["AutoScalingConfigurationRevision"])
                for each in answer["AutoScalingConfigurationSummaryList"]
            ]
            if "NextToken" not in answer:
                return sorted(found)
            answer = lab.apprunner.list_auto_scaling_configurations(
                MaxResults=2, NextToken=answer["NextToken"], **request
            )

    assert listed() == [("DefaultConfiguration", 1), ("bursty", 1), ("steady", 1), ("steady", 2)]
    assert listed(LatestOnly=True) == [("DefaultConfiguration", 1), ("bursty", 1), ("steady", 2)]
    assert listed(AutoScalingConfigurationName="steady") == [("steady", 1), ("steady", 2)]


def test_an_automatic_scaling_configuration_in_use_cannot_be_deleted(lab: Lab) -> None:
    made = lab.apprunner.create_auto_scaling_configuration(AutoScalingConfigurationName="steady")
    arn = made["AutoScalingConfiguration"]["AutoScalingConfigurationArn"]
    service = lab.created("hello", AutoScalingConfigurationArn=arn)
    assert service["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"] == arn
    delete = lab.apprunner.delete_auto_scaling_configuration
    assert refused(delete, AutoScalingConfigurationArn=arn)[0] == INVALID
    default = lab.created("plain")["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"]
    lab.apprunner.update_service(ServiceArn=service["ServiceArn"], AutoScalingConfigurationArn=default)
    lab.settled(service["ServiceArn"])
    gone = delete(AutoScalingConfigurationArn=arn)["AutoScalingConfiguration"]
    assert (gone["Status"], gone["Latest"]) == ("inactive", False)
    assert refused(delete, AutoScalingConfigurationArn=default)[0] == INVALID
    assert refused(lab.create, name="late", AutoScalingConfigurationArn=arn)[0] == INVALID
    described = lab.apprunner.describe_auto_scaling_configuration(AutoScalingConfigurationArn=arn)
    assert described["AutoScalingConfiguration"]["Status"] == "inactive"


def test_all_revisions_of_a_name_can_be_deleted_at_once(lab: Lab) -> None:
    for _ in range(2):
        made = lab.apprunner.create_auto_scaling_configuration(AutoScalingConfigurationName="steady")
    arn = made["AutoScalingConfiguration"]["AutoScalingConfigurationArn"]
    lab.apprunner.delete_auto_scaling_configuration(AutoScalingConfigurationArn=arn, DeleteAllRevisions=True)
    left = lab.apprunner.list_auto_scaling_configurations(AutoScalingConfigurationName="steady")
    assert left["AutoScalingConfigurationSummaryList"] == []
    missing = arn.rsplit("/", 2)[0] + "/9"
    describe = lab.apprunner.describe_auto_scaling_configuration
    assert refused(describe, AutoScalingConfigurationArn=missing)[0] == "ResourceNotFoundException"


def test_automatic_scaling_configurations_can_be_tagged_and_found(lab: Lab) -> None:
    make = lab.apprunner.create_auto_scaling_configuration
    made = make(AutoScalingConfigurationName="steady", Tags=tags(owner="alice"))["AutoScalingConfiguration"]
    tagging = client("resourcegroupstaggingapi", lab.emulator.url)
    found = tagging.get_resources(ResourceTypeFilters=["apprunner:autoscalingconfiguration"])
    assert [each["ResourceARN"] for each in found["ResourceTagMappingList"]] == [made["AutoScalingConfigurationArn"]]
    assert tagging.get_resources(ResourceTypeFilters=["apprunner:service"])["ResourceTagMappingList"] == []

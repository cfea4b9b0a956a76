"""The document at /openapi.json describes the requests and responses of a platform with these settings."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.api.openapi import build_document
from orchestrator.api.resolver import app
from orchestrator.api.schemas import CreateIn, SpecIn
from orchestrator.domain.errors import BadRequest, ErrorCode
from orchestrator.domain.events import EventKind
from orchestrator.domain.metrics import Metric
from orchestrator.domain.sweeps import Action, FindingKind, Outcome, SweepStatus
from orchestrator.domain.ttl import parse_ttl, ttl_pattern
from orchestrator.settings import Settings
from tests.unit.orchestrator.worlds import IMAGE


def document(**settings: Any) -> Any:
    return json.loads(build_document(app, Settings(platform="tests", table="t", worker_function="w", **settings)))


@pytest.fixture(scope="module")
def plain() -> Any:
    return document()


def operations(found: Any) -> list[tuple[str, Any]]:
    return [(f"{method} {path}", each) for path, item in found["paths"].items() for method, each in item.items()]


def test_exactly_the_possible_responses_are_documented(plain: Any) -> None:
    errors = {"400", "401", "403", "404", "405", "409", "412", "413", "415", "500", "503"}
    for name, operation in operations(plain):
        assert set(operation["responses"]) - {"200", "202"} == errors | {"429"}, name
    assert plain["components"]["schemas"].keys().isdisjoint({"HTTPValidationError", "ValidationError"})


def test_the_models_number_limits_are_documented(plain: Any) -> None:
    port = plain["components"]["schemas"]["SpecIn"]["properties"]["port"]
    assert (port["type"], port["minimum"], port["maximum"]) == ("integer", 1, 65535)


def test_the_stable_identifiers_are_listed(plain: Any) -> None:
    schemas = plain["components"]["schemas"]
    for name, identifiers in (("ErrorCode", ErrorCode), ("EventKind", EventKind), ("FindingKind", FindingKind)):
        assert schemas[name]["enum"] == list(identifiers)
    assert [metric for metric in Metric if f"`{metric}`" not in plain["info"]["description"]] == []


@pytest.mark.parametrize("identifiers", [ErrorCode, EventKind, FindingKind, Metric, SweepStatus, Action, Outcome])
def test_identifiers_are_snake_case(identifiers: type[StrEnum]) -> None:
    assert [each for each in identifiers if not re.fullmatch("[a-z]+(_[a-z]+)*", each)] == []


def test_a_finding_that_leads_to_an_action_has_the_kind_of_its_event() -> None:
    reported_only = {
        "due",
        "orphan_resource",
        "foreign",
        "unknown",
        "missing_stack",
        "quarantined",
        "unreadable_record",
    }
    assert {*FindingKind} - {*EventKind} == reported_only


def test_the_document_requires_sigv4_signatures(plain: Any) -> None:
    assert plain["security"] == [{"sigv4": []}]
    assert plain["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_no_parameter_may_be_null(plain: Any) -> None:
    for name, operation in operations(plain):
        for parameter in operation.get("parameters", ()):
            assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), (name, parameter["name"])


def test_ttl_never_and_secrets_are_documented_only_if_allowed(plain: Any) -> None:
    arn = "arn:aws:ssm:us-west-2:000000000000:parameter/shared/"
    permissive = document(allow_never=True, secrets_prefix=arn)
    for name in ("SpecIn", "CreateIn", "AdjustIn", "ReviveIn"):
        patterns = [
            each["components"]["schemas"][name]["properties"]["ttl"]["anyOf"][0]["pattern"]
            for each in (plain, permissive)
        ]
        assert [bool(re.search(pattern, "never")) for pattern in patterns] == [False, True]
        assert all(re.search(pattern, "12h") for pattern in patterns)
    for name in ("SpecIn", "CreateIn"):
        properties = [each["components"]["schemas"][name]["properties"]["secrets"] for each in (plain, permissive)]
        assert properties[0]["maxProperties"] == 0
        (reference,) = properties[1]["patternProperties"].values()
        assert re.search(reference["pattern"], f"{arn}token") and not re.search(reference["pattern"], "arn:aws:ssm:x")


@pytest.mark.parametrize("text", ["", "0s", "0d0h", "12", "h", "1h1d", "123456d", "12h ", "12h\n", "１h", "never"])
@pytest.mark.parametrize("allow_never", [True, False])
def test_the_documented_ttl_pattern_agrees_with_the_parser(text: str, allow_never: bool) -> None:
    try:
        parse_ttl(text, allow_never=allow_never)
    except BadRequest:
        assert not re.fullmatch(ttl_pattern(allow_never=allow_never), text)
    else:
        assert re.fullmatch(ttl_pattern(allow_never=allow_never), text)


def test_values_of_other_types_are_not_converted_to_numbers_or_booleans() -> None:
    assert SpecIn.model_validate({"image": IMAGE, "port": 8080.0}).port == 8080
    for wrong in ({"port": "8080"}, {"port": 8080.5}, {"port": True}, {"cpu": "1024"}, {"protected": "yes"}):
        with pytest.raises(ValidationError):
            CreateIn.model_validate({"id": "test1", "image": IMAGE, **wrong})


def test_the_documented_images_are_those_of_the_platforms_registries() -> None:
    found = document(image_registries=("123456789012.dkr.ecr.us-west-2.amazonaws.com/", "public.ecr.aws/a/"))
    for name in ("SpecIn", "CreateIn"):
        pattern = found["components"]["schemas"][name]["properties"]["image"]["pattern"]
        assert re.search(pattern, "public.ecr.aws/a/app:v1")
        assert re.search(pattern, "123456789012.dkr.ecr.us-west-2.amazonaws.com/app")
        assert not re.search(pattern, IMAGE) and not re.search(pattern, "x/public.ecr.aws/a/app:v1")


def test_github_tokens_are_documented_if_the_platform_accepts_them() -> None:
    found = document(github=[{"repository_owner_id": "1001"}])
    assert found["security"] == [{"sigv4": []}, {"github": []}]
    assert found["components"]["securitySchemes"]["github"]["scheme"] == "bearer"
    assert "github_api_url" in found["info"]["description"]

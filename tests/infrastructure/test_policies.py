"""Every rule holds for every kind of platform, and finds a removed protection."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.names import Names
from tests.infrastructure.bootstrap_recorder import ACCOUNT, Plan, plan
from tests.infrastructure.rules import NO_TAGS, RULES, Break, Rule

ARN = f"arn:aws:iam::{ACCOUNT}"
EVERYTHING: dict[str, Any] = {
    "platform": "p" * 21,
    "operators": [f"{ARN}:role/ops", "github:repository:1"],
    "groups": {"team": [f"{ARN}:role/dev", "github:repository:2"]},
    "github_audience": "fibfactory",
    "github": [{"repository_owner_id": "1", "repository_id": "2", "refs": ["refs/heads/*"]}],
    "secrets_prefix": f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:fibfactory/",
    "instance_role_arn": f"{ARN}:role/environments",
    "worker_policies": [f"{ARN}:policy/queues"],
    "permissions_boundary": f"{ARN}:policy/boundary",
    "api_concurrency": 10,
    "worker_concurrency": 20,
    "alarm_emails": ["ops@example.com"],
}
PLATFORMS: dict[str, dict[str, Any]] = {
    "as it comes, images built": {"image_uri": None},
    "with an image of one's own": {},
    "with everything that can be set": EVERYTHING,
    "with schedules of one's own": {"light_schedule": "cron(0/10 * * * ? *)", "nightly_schedule": "rate(3 days)"},
    "with times at their shortest": {"api_timeout": 5, "worker_timeout": 120, "light_schedule": "rate(1 minute)"},
}
RULE_IDS = [rule.says for rule in RULES]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: plan(**settings) for name, settings in PLATFORMS.items()}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_the_rule_holds(rule: Rule, platform: str, plans: dict[str, Plan]) -> None:
    assert rule.broken(plans[platform]) == []


@pytest.mark.parametrize(
    ("rule", "breaking"),
    [pytest.param(rule, each, id=f"{rule.says} #{n}") for rule in RULES for n, each in enumerate(rule.breaks, 1)],
)
def test_the_rule_finds_a_removed_protection(rule: Rule, breaking: Break, plans: dict[str, Plan]) -> None:
    broken = [one for whole in plans.values() for one in breaking(whole) if one.resource not in rule.exceptions]
    assert broken
    assert [one.resource for one in broken if rule.broken(one.plan) == []] == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.exceptions], ids=lambda rule: rule.says)
def test_every_exception_is_still_needed(rule: Rule, plans: dict[str, Plan]) -> None:
    found = {name for whole in plans.values() for name in rule.find(whole)}
    assert found == rule.exceptions.keys()


def test_every_type_listed_without_tags_is_used(plans: dict[str, Plan]) -> None:
    assert NO_TAGS.keys() <= {one.type for whole in plans.values() for one in whole.asked}


def test_every_resource_uses_the_provider_with_tags(plans: dict[str, Plan]) -> None:
    for whole in plans.values():
        ours = [one for one in whole.asked if one.type.startswith("aws:")]
        assert len(ours) > 40
        assert [one.name for one in ours if "::aws::aws-id" not in one.provider or "tags" in one.inputs] == []


def test_every_role_has_the_boundary_of_the_settings(plans: dict[str, Plan]) -> None:
    roles = plans["with everything that can be set"].of("iam/role:Role")
    assert {one.inputs.get("permissionsBoundary") for one in roles} == {EVERYTHING["permissions_boundary"]}
    assert all(
        "permissionsBoundary" not in one.inputs for one in plans["with an image of one's own"].of("iam/role:Role")
    )


@pytest.mark.parametrize("region", ["us-west-2", "ap-southeast-2", "us-gov-west-1"])
def test_the_longest_names_of_bucket_and_key_fit(region: str) -> None:
    names = Names("p" * 21, "aws", region, ACCOUNT)
    assert len(names.state_bucket) <= 63
    assert len(names.key_alias) <= 256

"""A platform runs images of its registries and secrets below its prefix only, however a name is written."""

from __future__ import annotations

import re

import pytest

from orchestrator.domain.environment import Spec
from orchestrator.domain.errors import BadRequest
from orchestrator.domain.policy import Policy

OWN = "123456789012.dkr.ecr.us-west-2.amazonaws.com/"
SECRETS = "arn:aws:secretsmanager:us-west-2:123456789012:secret:fib/"
POLICY = Policy((OWN, "public.ecr.aws/fibfactory/"), SECRETS)


def accepted(policy: Policy, spec: Spec) -> bool:
    try:
        policy.check(spec)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize(
    "image",
    [
        f"{OWN}app:v1",
        f"{OWN}team/app",
        f"{OWN}team/app@sha256:{'0' * 64}",
        "public.ecr.aws/fibfactory/fibservice:latest",
        "public.ecr.aws/fibfactory/a/b_c:v1",
    ],
)
def test_an_image_of_a_listed_registry_is_accepted(image: str) -> None:
    assert accepted(POLICY, Spec(image))
    assert re.fullmatch(POLICY.image_pattern, image)


@pytest.mark.parametrize(
    "image",
    [
        "public.ecr.aws/other/app:v1",
        "public.ecr.aws/fibfactory-evil/app:v1",
        "public.ecr.aws.evil.com/fibfactory/app:v1",
        "public.ecr.aws:443/fibfactory/app:v1",
        "evil.com/public.ecr.aws/fibfactory/app:v1",
        "user@public.ecr.aws/fibfactory/app:v1",
        "public.ecr.aws@evil.com/fibfactory/app:v1",
        "https://public.ecr.aws/fibfactory/app:v1",
        "PUBLIC.ecr.aws/fibfactory/app:v1",
        "public.ecr.aws/FIBFACTORY/app:v1",
        "public.ecr.aws//fibfactory/app:v1",
        "public.ecr.aws/fibfactory//app:v1",
        "public.ecr.aws/fibfactory/../other/app:v1",
        "public.ecr.aws/fibfactory/./app:v1",
        "public.ecr.aws/fibfactory/",
        "public.ecr.aws/fibfactory",
        "public.ecr.aws/fibfactory/app:v1\n",
        " public.ecr.aws/fibfactory/app:v1",
        "public.ecr.aws/fibfactory/app :v1",
        "public.ecr.aws/fibfactory/app%2f..:v1",
        "public.ecr.aws/fibfactory/app:v1@sha256:abc",
        f"public.ecr.aws/fibfactory/app@sha256:{'0' * 63}g",
        "public.ecr.aws/fibfactory\\app:v1",
        "public.ecr.aws/fibfactory/ａpp:v1",
        "123456789013.dkr.ecr.us-west-2.amazonaws.com/app:v1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1",
        "123456789012.dkr.ecr.us-west-2.amazonaws.com.evil.com/app:v1",
        "",
    ],
)
def test_any_other_image_is_refused_and_the_error_names_the_registries(image: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("public.ecr.aws/fibfactory/")) as refusal:
        POLICY.check(Spec(image))
    assert refusal.value.code == "image_registry"
    assert not re.fullmatch(POLICY.image_pattern, image)


def test_without_registries_no_image_is_accepted() -> None:
    with pytest.raises(BadRequest) as refusal:
        Policy().check(Spec("public.ecr.aws/fibfactory/app:v1"))
    assert refusal.value.code == "image_registry"
    assert not re.fullmatch(Policy().image_pattern, "public.ecr.aws/fibfactory/app:v1")


@pytest.mark.parametrize("registry", ["public.ecr.aws/", f"{OWN}team/", "public.ecr.aws/a/b/"])
def test_a_registry_can_be_all_of_public_ecr_or_a_path_in_a_registry(registry: str) -> None:
    image = f"{registry}{'alias/' if registry == 'public.ecr.aws/' else ''}app:v1"
    assert accepted(Policy((registry,)), Spec(image))
    assert re.fullmatch(Policy((registry,)).image_pattern, image)


def test_a_registry_that_app_runner_does_not_support_allows_no_image() -> None:
    policy = Policy(("docker.io/library/",))
    assert not accepted(policy, Spec("docker.io/library/nginx"))
    assert not re.fullmatch(policy.image_pattern, "docker.io/library/nginx")


@pytest.mark.parametrize(
    "reference",
    [f"{SECRETS}token-AbCdEf", f"{SECRETS}a/b", f"{SECRETS}token-AbCdEf:password::", f"{SECRETS}t:key:AWSCURRENT:1-2"],
)
def test_a_secret_below_the_prefix_is_accepted(reference: str) -> None:
    assert accepted(POLICY, Spec(f"{OWN}app", secrets={"TOKEN": reference}))
    assert re.fullmatch(POLICY.secret_pattern, reference)


@pytest.mark.parametrize(
    "reference",
    [
        SECRETS,
        SECRETS.removesuffix("/"),
        "arn:aws:secretsmanager:us-west-2:123456789012:secret:fib-other",
        "arn:aws:secretsmanager:us-west-2:123456789012:secret:fibonacci/token",
        "arn:aws:secretsmanager:us-west-2:210987654321:secret:fib/token",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:fib/token",
        "arn:aws:ssm:us-west-2:123456789012:parameter/fib/token",
        f" {SECRETS}token",
        f"{SECRETS}token\n",
        f"{SECRETS}to ken",
        f"{SECRETS}*",
        f"{SECRETS}token:a:b:c:d",
        f"{SECRETS}token,arn:aws:secretsmanager:us-west-2:123456789012:secret:other",
        f"x{SECRETS}token",
        SECRETS.upper() + "token",
        "token",
    ],
)
def test_any_other_secret_is_refused(reference: str) -> None:
    with pytest.raises(BadRequest, match="TOKEN") as refusal:
        POLICY.check(Spec(f"{OWN}app", secrets={"TOKEN": reference}))
    assert refusal.value.code == "secret_outside_prefix"
    assert not re.fullmatch(POLICY.secret_pattern, reference)


def test_without_a_prefix_no_secret_is_accepted() -> None:
    with pytest.raises(BadRequest) as refusal:
        Policy((OWN,)).check(Spec(f"{OWN}app", secrets={"TOKEN": f"{SECRETS}token"}))
    assert refusal.value.code == "no_secrets"


def test_the_prefix_can_be_one_of_parameters() -> None:
    prefix = "arn:aws:ssm:us-west-2:123456789012:parameter/fib/"
    policy = Policy((OWN,), prefix)
    assert accepted(policy, Spec(f"{OWN}app", secrets={"TOKEN": f"{prefix}token"}))
    assert not accepted(
        policy, Spec(f"{OWN}app", secrets={"TOKEN": "arn:aws:ssm:us-west-2:123456789012:parameter/fi/x"})
    )

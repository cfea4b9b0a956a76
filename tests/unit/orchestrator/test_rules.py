"""What a platform lets anybody run: its registries' images and its prefix's secrets, whatever tricks a name plays."""

from __future__ import annotations

import re

import pytest

from orchestrator.domain.environment import Spec
from orchestrator.domain.errors import BadRequest
from orchestrator.domain.policy import Policy

OWN = "123456789012.dkr.ecr.us-west-2.amazonaws.com/"
SECRETS = "arn:aws:secretsmanager:us-west-2:123456789012:secret:fib/"
RULES = Policy((OWN, "public.ecr.aws/fibfactory/"), SECRETS)


def taken(policy: Policy, spec: Spec) -> bool:
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
def test_an_image_of_a_named_registry_is_taken(image: str) -> None:
    assert taken(RULES, Spec(image))
    assert re.fullmatch(RULES.image_pattern, image)


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
def test_an_image_from_elsewhere_is_refused_and_the_registries_are_named(image: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("public.ecr.aws/fibfactory/")) as refusal:
        RULES.check(Spec(image))
    assert refusal.value.code == "image_registry"
    assert not re.fullmatch(RULES.image_pattern, image)


def test_without_registries_no_image_is_taken() -> None:
    with pytest.raises(BadRequest) as refusal:
        Policy().check(Spec("public.ecr.aws/fibfactory/app:v1"))
    assert refusal.value.code == "image_registry"
    assert not re.fullmatch(Policy().image_pattern, "public.ecr.aws/fibfactory/app:v1")


@pytest.mark.parametrize("registry", ["public.ecr.aws/", f"{OWN}team/", "public.ecr.aws/a/b/"])
def test_a_registry_may_be_all_of_public_ecr_or_a_part_of_one(registry: str) -> None:
    image = f"{registry}{'alias/' if registry == 'public.ecr.aws/' else ''}app:v1"
    assert taken(Policy((registry,)), Spec(image))
    assert re.fullmatch(Policy((registry,)).image_pattern, image)


def test_a_registry_that_app_runner_takes_nothing_from_lets_nothing_in() -> None:
    policy = Policy(("docker.io/library/",))
    assert not taken(policy, Spec("docker.io/library/nginx"))
    assert not re.fullmatch(policy.image_pattern, "docker.io/library/nginx")


@pytest.mark.parametrize(
    "reference",
    [f"{SECRETS}token-AbCdEf", f"{SECRETS}a/b", f"{SECRETS}token-AbCdEf:password::", f"{SECRETS}t:key:AWSCURRENT:1-2"],
)
def test_a_secret_under_the_prefix_is_taken(reference: str) -> None:
    assert taken(RULES, Spec(f"{OWN}app", secrets={"TOKEN": reference}))
    assert re.fullmatch(RULES.secret_pattern, reference)


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
def test_a_secret_from_elsewhere_is_refused(reference: str) -> None:
    with pytest.raises(BadRequest, match="TOKEN") as refusal:
        RULES.check(Spec(f"{OWN}app", secrets={"TOKEN": reference}))
    assert refusal.value.code == "secret_outside_prefix"
    assert not re.fullmatch(RULES.secret_pattern, reference)


def test_without_a_prefix_no_secret_is_taken() -> None:
    with pytest.raises(BadRequest) as refusal:
        Policy((OWN,)).check(Spec(f"{OWN}app", secrets={"TOKEN": f"{SECRETS}token"}))
    assert refusal.value.code == "no_secrets"


def test_a_parameters_prefix_is_one_too() -> None:
    prefix = "arn:aws:ssm:us-west-2:123456789012:parameter/fib/"
    policy = Policy((OWN,), prefix)
    assert taken(policy, Spec(f"{OWN}app", secrets={"TOKEN": f"{prefix}token"}))
    assert not taken(policy, Spec(f"{OWN}app", secrets={"TOKEN": "arn:aws:ssm:us-west-2:123456789012:parameter/fi/x"}))

"""Runs the platform's program with Pulumi's own mocks and records the resources that it declares."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from bootstrap.program.platform import program
from bootstrap.settings import Settings

REGION, ACCOUNT = "us-west-2", "000000000000"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fibfactory:1"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


def foundations_of(platform: str) -> Foundations:
    return Foundations(Names(platform, "aws", REGION, ACCOUNT), KEY_ARN)


FOUNDATIONS = foundations_of("fibfactory")

_ANSWERS: Mapping[str, dict[str, Any]] = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "a token of this minute"},
}
"""The lookups in the account that the program may make, besides a repository's images: only what a build needs."""


@dataclass(frozen=True)
class Asked:
    """A resource that the program declared; `inputs` by their names in Pulumi's schema."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str


class Recorder(Mocks):
    """Answers each resource with its inputs and an ARN, as AWS would, and records it."""

    def __init__(self, pushed: Mapping[str, str]) -> None:
        """`pushed` are the digests of images that are in the registry, by their tags."""
        self.asked: list[Asked] = []
        self._images = [{"imageTag": tag, "imageDigest": digest} for tag, digest in pushed.items()]

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.asked.append(Asked(args.typ, args.name, args.inputs, args.provider or ""))
        identity = f"{args.name}-id"
        return identity, {
            **args.inputs,
            "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{args.inputs.get('name')}",
            "repoDigest": f"{args.inputs.get('imageName')}".rpartition(":")[0] + f"@sha256:{'0' * 64}",
            "url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{args.inputs.get('name')}",
            "arn": f"arn:aws:test:{REGION}:{ACCOUNT}:{args.typ}/{args.name}",
            "apiEndpoint": f"https://{identity}.execute-api.{REGION}.amazonaws.com",
            "executionArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{identity}",
            "invokeArn": f"arn:aws:apigateway:{REGION}:lambda:path/{args.name}",
        }

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        answers = {**_ANSWERS, "aws:ecr/getImages:getImages": {"imageIds": self._images}}
        if args.token not in answers:
            raise AssertionError(f"the program asks the account with {args.token}: all it needs is in the foundations")
        return {**args.args, **answers[args.token]}, []


@dataclass(frozen=True)
class Plan:
    """All resources that a platform's program declared."""

    asked: tuple[Asked, ...]

    def of(self, kind: str) -> list[Asked]:
        """The resources whose type ends with `kind`, such as `iam/role:Role`."""
        return [one for one in self.asked if one.type.endswith(kind)]

    def one(self, kind: str, name: str = "") -> Mapping[str, Any]:
        """The inputs of the only resource of a type, or of the one with this name in AWS."""
        (found,) = (one for one in self.of(kind) if not name or one.inputs.get("name") == name)
        return found.inputs

    def policy(self, role: str) -> list[dict[str, Any]]:
        """The statements of a role's policy."""
        statements: list[dict[str, Any]] = json.loads(self.one("iam/rolePolicy:RolePolicy", role)["policy"])[
            "Statement"
        ]
        return statements


def plan(pushed: Mapping[str, str] = MappingProxyType({}), **settings: Any) -> Plan:
    """The resources for these settings; by default with a named image."""
    recorder = Recorder(pushed)
    code = {"code": "image", "image_uri": IMAGE} if settings.get("code") != "archive" else {}
    chosen = Settings.model_validate({"region": REGION, **code, **settings})
    pulumi.runtime.set_mocks(recorder, "fibfactory-platform", chosen.platform, preview=False)
    with warnings.catch_warnings():
        # pulumi_aws warns of an unused resource type as soon as its Lambda module is loaded.
        warnings.filterwarnings("ignore", "aws.lambda/microvmsimage", DeprecationWarning)
        pulumi.runtime.test(program(chosen, foundations_of(chosen.platform)))()
    # The order is not fixed, because resources wait for what they need.
    return Plan(tuple(sorted(recorder.asked, key=lambda one: (one.type, one.name))))

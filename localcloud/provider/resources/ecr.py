"""Repositories of the Elastic Container Registry and the rules by which they drop images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, ListedResource, Resource, Setting, names
from localcloud.provider.tags import Tagging


class Repository(ListedResource):
    """`aws:ecr/repository:Repository`; the id is the name."""

    token = "aws:ecr/repository:Repository"
    supports = names("encryptionConfigurations forceDelete imageScanningConfiguration imageTagMutability name")
    replace_on = names("encryptionConfigurations name")
    auto_name = AutoName(longest=256, lower=True)
    defaults: ClassVar[Mapping[str, Any]] = {"imageTagMutability": "MUTABLE"}
    kept = names("encryptionConfigurations imageScanningConfiguration")

    service = "ecr"
    create_by, read_by = "CreateRepository", "DescribeRepositories"
    identity = ("repositoryName",)
    member = "repositories"
    renamed: ClassVar[Mapping[str, str]] = {
        "arn": "repositoryArn",
        "name": "repositoryName",
        "repositoryUrl": "repositoryUri",
    }
    empty: ClassVar[Mapping[str, Any]] = {"imageScanningConfiguration": {"scanOnPush": False}}
    settings = (
        Setting("imageTagMutability", "PutImageTagMutability"),
        Setting("imageScanningConfiguration", "PutImageScanningConfiguration"),
    )
    tagging = Tagging()
    gone = ("RepositoryNotFoundException",)

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Pulumi has a list of encryptions, of which ECR takes one."""
        encryption = properties.get("encryptionConfigurations")
        one = {"encryptionConfiguration": encryption[0]} if encryption else {}
        return super().request(op, operation, {**properties, **one})

    def search(self, op: Operation) -> dict[str, Any]:
        """The repository of this name."""
        return {"repositoryNames": [op.id]}

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the one encryption as a list."""
        encryption = {"encryptionConfigurations": [found["encryptionConfiguration"]]}
        return super().properties(op, found) | encryption

    def delete(self, op: Operation) -> None:
        """Delete it, with its images when the program says so."""
        self.client(op).delete_repository(repositoryName=op.id, force=bool(op.outputs.get("forceDelete")))


class LifecyclePolicy(Resource):
    """`aws:ecr/lifecyclePolicy:LifecyclePolicy`; the id is the repository's name. It takes no tags."""

    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    supports = names("policy repository")
    replace_on = supports

    service = "ecr"
    create_by, read_by, delete_by = "PutLifecyclePolicy", "GetLifecyclePolicy", "DeleteLifecyclePolicy"
    identity = ("repositoryName",)
    renamed: ClassVar[Mapping[str, str]] = {"policy": "lifecyclePolicyText", "repository": "repositoryName"}
    gone = ("LifecyclePolicyNotFoundException", "RepositoryNotFoundException")

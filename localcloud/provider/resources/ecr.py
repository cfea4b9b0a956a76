"""Repositories of the Elastic Container Registry and what they forget by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import shapes, tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource


class Repository(Resource):
    """`aws:ecr/repository:Repository`; the id is the name."""

    tokens = ("aws:ecr/repository:Repository",)
    service = "ecr"
    supports = frozenset(
        {"encryptionConfigurations", "forceDelete", "imageScanningConfiguration", "imageTagMutability", "name"}
    )
    replace_on = frozenset({"encryptionConfigurations", "name"})
    auto_name = AutoName(longest=256, lower=True)
    defaults: ClassVar[Mapping[str, Any]] = {"imageTagMutability": "MUTABLE"}
    kept = frozenset({"encryptionConfigurations", "imageScanningConfiguration"})
    taggable = True
    gone = ("RepositoryNotFoundException",)

    def create(self, op: Operation) -> None:
        """Create it."""
        client, name = self.client(op), op.inputs["name"]
        request = shapes.request(client, "CreateRepository", op.inputs, {"tags"})
        if encryption := op.inputs.get("encryptionConfigurations"):
            # A list here, of which ECR takes one.
            one = {"encryptionConfiguration": encryption[0]}
            request |= shapes.request(client, "CreateRepository", one)
        client.create_repository(**request, repositoryName=name, tags=tags.as_list(op.all_tags))
        op.made(name)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The repository."""
        client = self.client(op)
        found = client.describe_repositories(repositoryNames=[op.id])["repositories"][0]
        arn = found["repositoryArn"]
        return {
            "name": op.id,
            "arn": arn,
            "registryId": found["registryId"],
            "repositoryUrl": found["repositoryUri"],
            "imageTagMutability": found.get("imageTagMutability", "MUTABLE"),
            "imageScanningConfiguration": found.get("imageScanningConfiguration"),
            "encryptionConfigurations": [found["encryptionConfiguration"]],
            "tagsAll": tags.as_map(client.list_tags_for_resource(resourceArn=arn).get("tags")),
        }

    def update(self, op: Operation) -> None:
        """Each setting by its own call."""
        given, client = op.inputs, self.client(op)
        if op.has_changed("imageTagMutability"):
            client.put_image_tag_mutability(repositoryName=op.id, imageTagMutability=given["imageTagMutability"])
        if op.has_changed("imageScanningConfiguration"):
            scanning = given.get("imageScanningConfiguration") or {"scanOnPush": False}
            client.put_image_scanning_configuration(repositoryName=op.id, imageScanningConfiguration=scanning)

    def delete(self, op: Operation) -> None:
        """Delete it, with its images when the program says so."""
        self.client(op).delete_repository(repositoryName=op.id, force=bool(op.outputs.get("forceDelete")))

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the repository's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(resourceArn=op.outputs["arn"], tagKeys=change.remove)
        if change.put:
            client.tag_resource(resourceArn=op.outputs["arn"], tags=tags.as_list(change.put))


class LifecyclePolicy(Resource):
    """`aws:ecr/lifecyclePolicy:LifecyclePolicy`; the id is the repository's name. It takes no tags."""

    tokens = ("aws:ecr/lifecyclePolicy:LifecyclePolicy",)
    service = "ecr"
    supports = frozenset({"policy", "repository"})
    replace_on = frozenset({"policy", "repository"})
    gone = ("LifecyclePolicyNotFoundException", "RepositoryNotFoundException")

    def create(self, op: Operation) -> None:
        """Put it on the repository."""
        policy, name = op.inputs["policy"], op.inputs["repository"]
        self.client(op).put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy)
        op.made(name)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The policy's text."""
        found = self.client(op).get_lifecycle_policy(repositoryName=op.id)
        return {
            "policy": found["lifecyclePolicyText"],
            "registryId": found["registryId"],
            "repository": found["repositoryName"],
        }

    def delete(self, op: Operation) -> None:
        """Take it off the repository."""
        self.client(op).delete_lifecycle_policy(repositoryName=op.id)

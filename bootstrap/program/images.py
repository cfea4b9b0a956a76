"""The repositories of the registry, and the images that a deploy builds and pushes there.

The rule: a tag is the fingerprint of its build, so that a tag never moves and a second deploy builds nothing. The functions run
an image by its own digest, never by a tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

from bootstrap.program.archive import ROOT
from bootstrap.program.blueprint import Blueprint
from bootstrap.program.build_context import fingerprint
from bootstrap.settings import Settings

KEPT_IMAGES, UNTAGGED_DAYS = 50, 7
"""How many images a repository keeps, the newest ones, and for how many days an image that lost its tag."""
_TAG_LENGTH = 20
_ORCHESTRATOR, _SAMPLE = "Dockerfile.lambda", "Dockerfile.fib"


@dataclass(frozen=True)
class Images:
    """Both repositories, and the images that this deploy builds, as `registry/repository@digest`."""

    orchestrator_repository: aws.ecr.Repository
    sample_repository: aws.ecr.Repository
    orchestrator: pulumi.Output[str] | None
    sample: pulumi.Output[str] | None


def images(blueprint: Blueprint) -> Images:
    """Both repositories, and the images if the settings ask to build them, which needs a Docker daemon."""
    names, settings = blueprint.names, blueprint.settings
    orchestrator = _repository(blueprint, "orchestrator", names.orchestrator_repository, "IMMUTABLE")
    # A team's own pushes may move a tag of the sample; an environment's `revision` then redeploys it.
    sample = _repository(blueprint, "sample", names.sample_repository, "MUTABLE")
    return Images(
        orchestrator_repository=orchestrator,
        sample_repository=sample,
        orchestrator=_image(blueprint, "orchestrator", _ORCHESTRATOR, orchestrator)
        if settings.builds_orchestrator
        else None,
        sample=_image(blueprint, "sample", _SAMPLE, sample) if settings.builds_sample else None,
    )


def check_sources(settings: Settings) -> None:
    """Raises SettingsError when an image is to be built and one of its files is missing."""
    for wanted, dockerfile in ((settings.builds_orchestrator, _ORCHESTRATOR), (settings.builds_sample, _SAMPLE)):
        if wanted:
            fingerprint(ROOT, dockerfile, settings.build_arguments)


def lifecycle() -> dict[str, object]:
    """Which images a repository removes by itself. It keeps enough for going back, and for paused environments."""
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days"}
    return {
        "rules": [
            _expire(1, "images that lost their tag", untagged | {"countNumber": UNTAGGED_DAYS}),
            # ECR wants the rule for any tag to be the last one.
            _expire(
                2,
                "the oldest images",
                {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
            ),
        ]
    }


def _expire(priority: int, what: str, selection: Mapping[str, object]) -> dict[str, object]:
    return {"rulePriority": priority, "description": what, "selection": selection, "action": {"type": "expire"}}


def _repository(blueprint: Blueprint, name: str, full_name: str, mutability: str) -> aws.ecr.Repository:
    repository = aws.ecr.Repository(
        name,
        name=full_name,
        image_tag_mutability=mutability,
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
        encryption_configurations=[aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")],
        # Images can be built again, so they must not prevent a teardown.
        force_delete=True,
        opts=blueprint.opts,
    )
    aws.ecr.LifecyclePolicy(
        name,
        repository=repository.name,
        policy=json.dumps(lifecycle()),
        # A repository has one policy: deleting the old one last would delete the new one.
        opts=pulumi.ResourceOptions.merge(blueprint.opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )
    return repository


def _image(blueprint: Blueprint, name: str, dockerfile: str, repository: aws.ecr.Repository) -> pulumi.Output[str]:
    """Build and push the image, unless there is one of this fingerprint already; its name by digest."""
    arguments = blueprint.settings.build_arguments
    tag = fingerprint(ROOT, dockerfile, arguments)[:_TAG_LENGTH]
    lookup = pulumi.InvokeOutputOptions(provider=blueprint.opts.provider)
    pushed = aws.ecr.get_images_output(repository_name=repository.name, opts=lookup).image_ids.apply(
        lambda found: next((image.image_digest for image in found if image.image_tag == tag), None)
    )
    token = aws.ecr.get_authorization_token_output(opts=lookup)
    image = docker.Image(
        # One resource for each tag, which is made and never changed.
        f"{name}-{tag}",
        image_name=pulumi.Output.concat(repository.repository_url, ":", tag),
        build=docker.DockerBuildArgs(
            context=str(ROOT), dockerfile=str(ROOT / dockerfile), platform="linux/amd64", args=dict(arguments)
        ),
        registry=docker.RegistryArgs(
            server=repository.repository_url, username=token.user_name, password=token.password
        ),
        # When going back to code that was deployed before, the image that is wanted has its tag already.
        skip_push=pushed.apply(lambda digest: digest is not None),
        opts=pulumi.ResourceOptions(ignore_changes=["skipPush"]),
    )
    return pulumi.Output.all(repository.repository_url, pushed, image.repo_digest).apply(
        lambda known: f"{known[0]}@{known[1]}" if known[1] else str(known[2])
    )

"""The registry's repositories, and the images that a deploy builds and pushes into them.

The rule: a tag is the digest of all that a build depends on, so that a tag never has to move and a second deploy builds nothing.
What runs is the image's own digest, never a tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

from bootstrap.names import Names
from bootstrap.program.archive import ROOT
from bootstrap.program.build_context import fingerprint
from bootstrap.settings import Settings

KEPT_IMAGES, UNTAGGED_DAYS = 50, 7
"""A repository keeps so many images, the newest; one that lost its tag, for so many days."""
_TAG_LENGTH = 20
_ORCHESTRATOR, _SAMPLE = "Dockerfile.lambda", "Dockerfile.fib"


@dataclass(frozen=True)
class Images:
    """Both repositories, and the images that this deploy built, as `registry/repository@digest`."""

    orchestrator_repository: aws.ecr.Repository
    sample_repository: aws.ecr.Repository
    orchestrator: pulumi.Output[str] | None
    sample: pulumi.Output[str] | None


def images(settings: Settings, names: Names, opts: pulumi.ResourceOptions) -> Images:
    """The repositories always, an image where the settings have it built; that needs a Docker daemon."""
    orchestrator = _repository("orchestrator", names.orchestrator_repository, "IMMUTABLE", opts)
    # A team's own pushes may move a tag of the sample's, which an environment's `revision` then redeploys.
    sample = _repository("sample", names.sample_repository, "MUTABLE", opts)
    arguments = settings.build_arguments
    return Images(
        orchestrator_repository=orchestrator,
        sample_repository=sample,
        orchestrator=_built("orchestrator", _ORCHESTRATOR, arguments, orchestrator, opts)
        if settings.builds_orchestrator
        else None,
        sample=_built("sample", _SAMPLE, arguments, sample, opts) if settings.builds_sample else None,
    )


def check_sources(settings: Settings) -> None:
    """Raises SettingsError when an image is to be built and what it is built from isn't here."""
    for wanted, dockerfile in ((settings.builds_orchestrator, _ORCHESTRATOR), (settings.builds_sample, _SAMPLE)):
        if wanted:
            fingerprint(ROOT, dockerfile, settings.build_arguments)


def lifecycle() -> dict[str, object]:
    """What a repository forgets by itself. It keeps enough to go back to, and for environments that sleep."""
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days"}
    return {
        "rules": [
            _forget(1, "what lost its tag", untagged | {"countNumber": UNTAGGED_DAYS}),
            # ECR wants the rule for any tag to be the last one.
            _forget(
                2, "the oldest", {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES}
            ),
        ]
    }


def _forget(priority: int, what: str, selection: Mapping[str, object]) -> dict[str, object]:
    return {"rulePriority": priority, "description": what, "selection": selection, "action": {"type": "expire"}}


def _repository(name: str, full_name: str, mutability: str, opts: pulumi.ResourceOptions) -> aws.ecr.Repository:
    repository = aws.ecr.Repository(
        name,
        name=full_name,
        image_tag_mutability=mutability,
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
        encryption_configurations=[aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")],
        # Images can be built again: they shall not keep a platform from being taken down.
        force_delete=True,
        opts=opts,
    )
    aws.ecr.LifecyclePolicy(
        name,
        repository=repository.name,
        policy=json.dumps(lifecycle()),
        # A repository has one: the old one deleted last would take the new one with it.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )
    return repository


def _built(
    name: str,
    dockerfile: str,
    arguments: Mapping[str, str],
    repository: aws.ecr.Repository,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Build and push, unless an image of this fingerprint is there already; its name by digest."""
    tag = fingerprint(ROOT, dockerfile, arguments)[:_TAG_LENGTH]
    asking = pulumi.InvokeOutputOptions(provider=opts.provider)
    pushed = aws.ecr.get_images_output(repository_name=repository.name, opts=asking).image_ids.apply(
        lambda found: next((image.image_digest for image in found if image.image_tag == tag), None)
    )
    token = aws.ecr.get_authorization_token_output(opts=asking)
    image = docker.Image(
        # One resource for each tag, made and then never changed.
        f"{name}-{tag}",
        image_name=pulumi.Output.concat(repository.repository_url, ":", tag),
        build=docker.DockerBuildArgs(
            context=str(ROOT), dockerfile=str(ROOT / dockerfile), platform="linux/amd64", args=dict(arguments)
        ),
        registry=docker.RegistryArgs(
            server=repository.repository_url, username=token.user_name, password=token.password
        ),
        # Going back to code that was deployed before: its tag is taken, by the image that is wanted.
        skip_push=pushed.apply(lambda digest: digest is not None),
        opts=pulumi.ResourceOptions(ignore_changes=["skipPush"]),
    )
    return pulumi.Output.all(repository.repository_url, pushed, image.repo_digest).apply(
        lambda known: f"{known[0]}@{known[1]}" if known[1] else str(known[2])
    )

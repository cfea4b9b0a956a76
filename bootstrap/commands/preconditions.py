"""Checks of the account and of this machine before anything is made.

The rule: each check is quick, makes nothing, and refuses with one sentence what would otherwise fail in the middle of a deploy.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore import __version__ as botocore_version
from botocore.exceptions import ClientError

from bootstrap.errors import NO_DOCKER_ADVICE, AccountError, SettingsError, explained, refusal
from bootstrap.program.archive import ROOT, archive_files
from bootstrap.program.images import check_sources
from bootstrap.settings import Settings

_DOCKER_SECONDS = 20
_PINS = "tools/images/pins.toml"
_URL_ARGUMENTS = {"pulumi": "PULUMI_CLI_URL", "pulumi-resource-aws": "PULUMI_AWS_URL"}
"""The build arguments by which each pinned program comes from elsewhere."""
_GUIDE = "docs/aws.md, “App Runner is closed to new customers”"


def check_machine(session: boto3.Session, settings: Settings) -> None:
    """All checks of the region, the checkout, Docker and the image. Raises SettingsError."""
    check_region(session)
    if settings.code == "archive":
        _check_archive(session)
    check_docker(settings)
    check_sources(settings)
    check_pins(settings, ROOT)
    check_image(session, settings)


def check_region(session: boto3.Session) -> None:
    """Raises SettingsError for a region that does not exist or has no App Runner."""
    region = str(session.region_name)
    with explained("look up the region"):
        partitions = {
            partition: session.get_available_regions("sts", partition)
            for partition in session.get_available_partitions()
        }
    offered = ", ".join(session.get_available_regions("apprunner", "aws"))
    partition = next((name for name, regions in partitions.items() if region in regions), None)
    if partition is None:
        raise SettingsError(
            f"There is no region {region}: botocore {botocore_version} does not know it.",
            f"Check --region; App Runner is in {offered}.",
        )
    if region not in session.get_available_regions("apprunner", partition):
        raise SettingsError(
            f"App Runner, which runs the environments, is not offered in {region} (says botocore {botocore_version}).",
            f"Choose another --region: {offered}.",
        )


def check_app_runner(session: boto3.Session) -> None:
    """Raises AccountError when App Runner does not answer this account, with AWS's own words.

    It is closed to new customers since 2026-04-30. What AWS answers them is not documented, so every refusal counts, except a
    missing permission of this user or role.
    """
    with explained("look at App Runner"):
        try:
            session.client("apprunner").list_services(MaxResults=1)
        except ClientError as error:
            code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
            if not _refuses_the_account(code, message):
                raise
            raise AccountError(
                f"App Runner can't be used in this account: {code}: {message}", f"See {_GUIDE}. Nothing was made."
            ) from error


def check_docker(settings: Settings) -> None:
    """Raises SettingsError when images are to be built and Docker does not answer."""
    if not (settings.builds_orchestrator or settings.builds_sample):
        return
    if shutil.which("docker") is None:
        raise SettingsError(
            "The platform's images are to be built here, and docker is not on PATH.", f"{NO_DOCKER_ADVICE}."
        )
    try:
        answer = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOCKER_SECONDS,
        )
        answers = answer.stderr.strip().splitlines()[-1:] if answer.returncode else []
    except subprocess.TimeoutExpired:
        answers = [f"no answer within {_DOCKER_SECONDS} s"]
    if answers:
        raise SettingsError(
            f"The platform's images are to be built here, and Docker does not answer: {answers[0]}",
            f"{NO_DOCKER_ADVICE}.",
        )


def check_image(session: boto3.Session, settings: Settings) -> None:
    """Raises SettingsError when the image of `image_uri` does not exist."""
    if settings.image_uri is None:
        return
    registry, _, image = settings.image_uri.partition("/")
    repository, tag, digest = re.fullmatch(r"([^:@]+)(?::(.+)|@(.+))", image).groups()  # type: ignore[union-attr]  # its pattern
    which = {"imageTag": tag} if tag else {"imageDigest": digest}
    ecr = session.client("ecr")
    with explained("look at the image"):
        try:
            ecr.describe_images(registryId=registry.split(".")[0], repositoryName=repository, imageIds=[which])
        except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException) as error:
            raise SettingsError(
                f"There is no image {settings.image_uri}.", "Push it first, or check --image-uri. Nothing was made."
            ) from error


def check_pins(settings: Settings, root: Path) -> None:
    """Raises SettingsError when the image would be built from the checkout `root` with a program of unknown checksum."""
    if not settings.builds_orchestrator:
        return
    pins = tomllib.loads((root / _PINS).read_text("utf-8"))
    unknown = [
        name for name, pin in pins.items() if not pin["sha256"] and _URL_ARGUMENTS[name] not in settings.build_arguments
    ]
    if unknown:
        raise SettingsError(
            f"{_PINS} has no checksum of {' and '.join(unknown)}, with which the orchestrator's image is to be built.",
            "Run `make images` once, which writes the publisher's checksum there; check and commit it. Or name an existing image "
            "with --image-uri.",
        )


def _check_archive(session: boto3.Session) -> None:
    """Raises SettingsError when the functions' code is to be an archive on AWS, or can't be packed."""
    with explained("find Lambda's endpoint"):
        host = urlsplit(session.client("lambda").meta.endpoint_url).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        raise SettingsError(
            "On AWS the functions can't run from an archive: it contains fibfactory's code only, "
            "and Lambda's runtime has neither its dependencies nor Pulumi.",
            "Build the orchestrator's image, push it to ECR and deploy with --code image --image-uri.",
        )
    archive_files(ROOT)


def _refuses_the_account(code: str, message: str) -> bool:
    """Whether AWS refuses the account itself: not this user or role, not the credentials, and not only for the moment."""
    if code in {"SubscriptionRequiredException", "OptInRequired"}:
        return True
    return code in {"AccessDenied", "AccessDeniedException"} and refusal(message) is None

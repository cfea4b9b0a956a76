"""The images that a deploy builds and pushes, their tags, and what the functions run from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap.errors import SettingsError
from bootstrap.program.build_context import context_files, fingerprint
from tests.infrastructure.bootstrap_recorder import ACCOUNT, IMAGE, REGION, Plan, plan

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def functions_run(planned: Plan) -> set[str]:
    return {one.inputs["imageUri"] for one in planned.of("lambda/function:Function")}


def test_a_named_image_is_run_and_nothing_is_built() -> None:
    planned = plan(image_uri=IMAGE)
    assert functions_run(planned) == {IMAGE}
    assert planned.of("docker:index/image:Image") == []


def test_with_an_archive_nothing_is_built_but_the_repositories_exist() -> None:
    planned = plan(code="archive")
    assert planned.of("docker:index/image:Image") == []
    assert {one.inputs["name"] for one in planned.of("ecr/repository:Repository")} == {
        "fibfactory/orchestrator",
        "fibfactory/fibservice",
    }


def test_without_a_named_image_both_are_built_and_the_functions_run_from_the_pushed_digest() -> None:
    planned = plan(image_uri=None)
    images = {one.name.partition("-")[0]: one.inputs for one in planned.of("docker:index/image:Image")}
    assert images.keys() == {"orchestrator", "sample"}
    assert functions_run(planned) == {f"{REGISTRY}/fibfactory/orchestrator@sha256:{'0' * 64}"}
    for image in images.values():
        assert image["build"]["platform"] == "linux/amd64"
        assert image["registry"]["server"].startswith(REGISTRY)
        assert image["skipPush"] is False


def test_an_image_that_was_pushed_before_is_not_pushed_again() -> None:
    (built,) = (one for one in plan(image_uri=None).of("docker:index/image:Image") if one.name.startswith("orch"))
    tag = built.inputs["imageName"].rpartition(":")[2]
    planned = plan(pushed={tag: "sha256:before"}, image_uri=None)
    (again,) = (one for one in planned.of("docker:index/image:Image") if one.name.startswith("orch"))
    assert again.inputs["skipPush"] is True
    assert functions_run(planned) == {f"{REGISTRY}/fibfactory/orchestrator@sha256:before"}


def test_the_sample_image_can_be_built_besides_a_named_image() -> None:
    planned = plan(image_uri=IMAGE, build_sample=True)
    assert [one.name.partition("-")[0] for one in planned.of("docker:index/image:Image")] == ["sample"]
    assert functions_run(planned) == {IMAGE}


def test_the_tag_depends_on_the_code_and_the_build_arguments() -> None:
    def tags(planned: Plan) -> set[str]:
        return {one.inputs["imageName"] for one in planned.of("docker:index/image:Image")}

    assert tags(plan(image_uri=None)) == tags(plan(image_uri=None))
    assert tags(plan(image_uri=None)).isdisjoint(tags(plan(image_uri=None, build_arguments={"BASE": "other"})))


def test_repositories_keep_the_newest_images_and_remove_untagged_ones(tmp_path: Path) -> None:
    for one in plan().of("ecr/lifecyclePolicy:LifecyclePolicy"):
        untagged, oldest = json.loads(one.inputs["policy"])["rules"]
        assert untagged["selection"]["tagStatus"] == "untagged" and untagged["selection"]["countUnit"] == "days"
        assert oldest["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 50}
        assert untagged["rulePriority"] < oldest["rulePriority"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "app" / "__pycache__").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("print(1)\n")
    (tmp_path / "app" / "__pycache__" / "main.pyc").write_bytes(b"1")
    (tmp_path / "notes.txt").write_text("not for the image\n")
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY app /app\n")
    (tmp_path / ".dockerignore").write_text("# only these\n*\n!app\n!requirements.txt\n**/__pycache__\n")
    return tmp_path


def test_the_build_context_is_what_dockerignore_includes(checkout: Path) -> None:
    assert [file.relative_to(checkout).as_posix() for file in context_files(checkout)] == [
        "app/main.py",
        "requirements.txt",
    ]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/main.py", "print(2)\n"),
        ("app/new.py", ""),
        ("Dockerfile", "FROM python\n"),
        (".dockerignore", "*\n!app\n"),
        ("requirements.txt", "waitress\n"),
    ],
)
def test_every_file_of_the_image_changes_the_fingerprint(checkout: Path, path: str, content: str) -> None:
    before = fingerprint(checkout, "Dockerfile", {})
    (checkout / path).write_text(content)
    assert fingerprint(checkout, "Dockerfile", {}) != before


def test_a_mode_a_link_and_an_argument_change_the_fingerprint(checkout: Path) -> None:
    seen = {fingerprint(checkout, "Dockerfile", {}), fingerprint(checkout, "Dockerfile", {"BASE": "python"})}
    (checkout / "app" / "main.py").chmod(0o755)
    seen.add(fingerprint(checkout, "Dockerfile", {}))
    (checkout / "app" / "link").symlink_to("main.py")
    seen.add(fingerprint(checkout, "Dockerfile", {}))
    assert len(seen) == 4


def test_files_outside_the_image_do_not_change_the_fingerprint(checkout: Path) -> None:
    before = fingerprint(checkout, "Dockerfile", {})
    (checkout / "notes.txt").write_text("other notes\n")
    (checkout / "app" / "__pycache__" / "main.pyc").write_bytes(b"2")
    assert fingerprint(checkout, "Dockerfile", {}) == before


def test_the_same_code_in_another_folder_is_another_build(checkout: Path) -> None:
    elsewhere = checkout.rename(checkout.with_name("elsewhere"))
    assert fingerprint(elsewhere, "Dockerfile", {}) != fingerprint_at(checkout, elsewhere)


def fingerprint_at(old: Path, new: Path) -> str:
    """What the fingerprint was before the folder moved."""
    new.rename(old)
    try:
        return fingerprint(old, "Dockerfile", {})
    finally:
        old.rename(new)


def test_a_missing_dockerfile_is_named(checkout: Path) -> None:
    with pytest.raises(SettingsError, match=r"does not contain Dockerfile\.other"):
        fingerprint(checkout, "Dockerfile.other", {})


def test_a_dockerignore_that_includes_everything_is_refused(checkout: Path) -> None:
    (checkout / ".dockerignore").write_text("notes.txt\n")
    with pytest.raises(SettingsError, match=r"does not begin with `\*`"):
        fingerprint(checkout, "Dockerfile", {})

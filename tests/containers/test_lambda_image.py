"""The contents of the orchestrator's image."""

from __future__ import annotations

import json
import re

from tests.containers.conftest import Images
from tests.containers.containers import docker, python

_SOURCES_WITHOUT_BYTECODE = """
import importlib.util, pathlib
for root in ("/opt/python", "/var/task"):
    for source in pathlib.Path(root).rglob("*.py"):
        if not pathlib.Path(importlib.util.cache_from_source(source)).exists():
            print(source)
"""
_FOUND = "import importlib.util, sys; print([name for name in {names!r} if importlib.util.find_spec(name)])"


def config_of(image: str) -> dict[str, object]:
    return dict(json.loads(docker("image", "inspect", image))[0]["Config"])


def test_it_is_one_image_for_both_functions_on_amd64(images: Images) -> None:
    config = config_of(images.orchestrator)
    assert config["Entrypoint"] == ["python", "-m", "awslambdaric"]
    assert config["Cmd"] == ["orchestrator.http_handler.handler"]
    assert config["User"] == "65534:65534"
    assert docker("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", images.orchestrator) == "linux/amd64"


def test_every_python_file_in_it_is_compiled(images: Images) -> None:
    assert python(images.orchestrator, _SOURCES_WITHOUT_BYTECODE) == ""


def test_it_contains_no_build_tools_and_no_test_code(images: Images) -> None:
    names = ["pip", "ensurepip", "setuptools", "debugpy", "localcloud", "tests"]
    assert python(images.orchestrator, _FOUND.format(names=names)) == "[]"
    which = "import shutil; print([name for name in ('gcc', 'cc', 'make', 'go', 'pip', 'git') if shutil.which(name)])"
    assert python(images.orchestrator, which) == "[]"


def test_its_history_and_settings_reveal_nothing_of_the_build_machine(images: Images) -> None:
    text = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", images.orchestrator)
    text += json.dumps(config_of(images.orchestrator))
    assert "awslambdaric" in text
    assert not re.search(
        r"https?://|/opt/machine|\.crt|pip\.conf|PIP_|PULUMI_|proxy|token|password", text, re.IGNORECASE
    )
    assert python(images.orchestrator, "import os; print(os.path.exists('/opt/machine'))") == "False"


def test_its_cli_has_the_version_of_the_sdk(images: Images) -> None:
    program = (
        "import importlib.metadata as m, subprocess;"
        "print(subprocess.check_output(['pulumi', 'version'], text=True).strip() == 'v' + m.version('pulumi'))"
    )
    assert python(images.orchestrator, program) == "True"


def test_unused_parts_of_pulumi_aws_are_left_out_with_a_clear_error(images: Images) -> None:
    program = (
        "import pulumi_aws as aws\nprint(aws.apprunner.Service.__name__)\n"
        "try:\n    aws.sqs.Queue\nexcept ImportError as error:\n    print(error)"
    )
    assert python(images.orchestrator, program).splitlines() == [
        "Service",
        "pulumi_aws.sqs was left out of this image, as the template does not use it. "
        "Name it in template_stack.py and build the image again.",
    ]

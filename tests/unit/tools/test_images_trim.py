"""The modules of `pulumi_aws` that the image keeps: those that the template uses, found and checked at the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pulumi_aws
import pytest

from tools.images.trim import CannotFollow, names_used

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[3]
TRIM = CHECKOUT / "tools" / "images" / "trim.py"

_UNDER_MOCKS = """
import pulumi
from pulumi.runtime import Mocks, set_mocks

class Accept(Mocks):
    def new_resource(self, args):
        seen.append(args.typ)
        return args.name, args.inputs
    def call(self, args):
        raise AssertionError(args.token)

seen = []
set_mocks(Accept())
import template_stack

@pulumi.runtime.test
def run():
    {call}

run()
print(*sorted(seen))
"""
_TEMPLATE = (
    "template_stack.pulumi_program(template_stack.EnvironmentInputs("
    "'fib-app-a', 'us-west-2', {}, template_stack.Spec('public.ecr.aws/a:v1')))"
)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with the package as it is installed, to be trimmed."""
    folder, source = tmp_path / "packages", Path(pulumi_aws.__file__).parent
    # Hard links will do: files are only removed or written anew, not changed in place.
    shutil.copytree(source, folder / "pulumi_aws", copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def trimmed(packages: Path, program: Path) -> subprocess.CompletedProcess[str]:
    return _python(packages, "-B", TRIM, packages / "pulumi_aws", program)


def _python(packages: Path, *arguments: str | Path, path: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{path}"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=packages, env=environ, capture_output=True, text=True, timeout=120
    )


def test_the_template_runs_with_the_modules_kept_for_it(packages: Path) -> None:
    answer = trimmed(packages, CHECKOUT / "template_stack.py")
    assert answer.returncode == 0, answer.stderr
    assert "kept apprunner, config; left out" in answer.stdout
    ran = _python(packages, "-c", _UNDER_MOCKS.format(call=_TEMPLATE))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["aws:apprunner/service:Service", "pulumi:providers:aws"]
    left = _python(packages, "-c", "import pulumi_aws; pulumi_aws.sqs.Queue")
    assert "pulumi_aws.sqs was left out of this image" in left.stderr


def test_a_template_that_uses_more_modules_keeps_them_and_their_imports(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "template_stack.py").write_text(
        "import pulumi_aws as aws\nfrom pulumi_aws import lambda_\n\n\n"
        "def program():\n    aws.sqs.Queue('jobs')\n    lambda_.Alias('live', function_name='f', function_version='1')\n"
    )
    answer = trimmed(packages, tmp_path / "template_stack.py")
    assert answer.returncode == 0, answer.stderr
    # Lambda's module imports IAM's.
    assert "kept config, iam, lambda_, sqs; left out" in answer.stdout
    ran = _python(packages, "-c", _UNDER_MOCKS.format(call="template_stack.program()"), path=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["aws:lambda/alias:Alias", "aws:sqs/queue:Queue"]


@pytest.mark.parametrize("name", ["sqz.Queue", "sqs.Queu", "Provder"])
def test_a_name_that_the_package_does_not_have_fails_the_build(packages: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "template_stack.py").write_text(
        f"import pulumi_aws as aws\n\n\ndef program():\n    aws.{name}('jobs')\n"
    )
    answer = trimmed(packages, tmp_path / "template_stack.py")
    assert answer.returncode == 1
    assert f"has no {name}: see the template" in answer.stderr


def test_a_template_that_cannot_be_followed_keeps_all_modules(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "template_stack.py").write_text("import pulumi_aws as aws\n\nqueue = getattr(aws, 'sqs')\n")
    answer = trimmed(packages, tmp_path / "template_stack.py")
    assert answer.returncode == 0
    assert "kept whole: template_stack.py, line 3," in answer.stdout
    assert (packages / "pulumi_aws" / "sqs" / "queue.py").is_file()


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("import pulumi_aws\npulumi_aws.sqs.Queue.get('a', 'b')", {"sqs.Queue"}),
        ("import pulumi_aws as aws\naws.Provider('p')", {"Provider"}),
        ("import pulumi_aws.sqs\npulumi_aws.sns.Topic('a')", {"sqs", "sns.Topic"}),
        ("import pulumi_aws.sqs as queues\nqueues.Queue('a')", {"sqs"}),
        ("from pulumi_aws import sqs as queues, Provider\nqueues.Queue('a')", {"sqs", "Provider"}),
        ("from pulumi_aws.sqs import *", {"sqs"}),
        ("def later():\n    import pulumi_aws as aws\n    return aws.s3.Bucket", {"s3.Bucket"}),
        ("import pulumi_docker as docker\ndocker.Image('a')", set()),
    ],
)
def test_the_names_are_found_however_they_are_imported(tmp_path: Path, program: str, names: set[str]) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    assert names_used(file, "pulumi_aws") == names


@pytest.mark.parametrize("program", ["from pulumi_aws import *", "import pulumi_aws as aws\nprint(vars(aws))"])
def test_a_use_that_cannot_be_followed_is_reported_with_its_line(tmp_path: Path, program: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    with pytest.raises(CannotFollow, match=r"program.py, line \d"):
        names_used(file, "pulumi_aws")

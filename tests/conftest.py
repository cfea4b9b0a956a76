"""What all tests share: a machine without AWS settings, a local cloud and a platform for each worker in need.

Rule: tests reach loopback only. Without the person's keys, profiles and endpoints, a client that was not told where
to go cannot go anywhere.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import boto3
import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from localcloud.cloud import LocalCloud
from localcloud.running import RunningCloud
from localcloud.settings import find_pulumi_bin
from tools.platform_on_localcloud import Platform, running_platform

_HIDDEN_PREFIXES = ("AWS_", "PULUMI_", "FIBFACTORY_")
_E2E = "tests/e2e/"
_CONTAINERS = "tests/containers/"
_OF_PROGRAMS = {f"{_E2E}test_seed_command.py", f"{_E2E}test_any_automation_program.py"}
_ALONE = {
    f"{_E2E}test_{name}.py"
    for name in ("api_fuzz", "crash_points", "demo", "long_operations", "stateful_model", "up_and_down")
}
"""Long ones, and those that start a cloud of their own or change the platform's functions."""


class OnePlatform(LoadScopeScheduling):
    """Each file's tests go to one worker together, and all that share a platform to a single one.

    So fixtures of a module are made once, and the platform is deployed three times: for the API's tests, the programs', and
    the containers', which share the images too.
    A scheduler of our own rather than `xdist_group` marks: pytest 9.2 and pytest-xdist 3.8 together ignore those in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in _OF_PROGRAMS:
            return "programs"
        if file.startswith(_CONTAINERS):
            return _CONTAINERS
        return _E2E if file.startswith(_E2E) and file not in _ALONE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How tests are shared out when they run in parallel, whatever --dist says: end-to-end ones, the longest, first."""
    config.option.loadscopereorder = False
    return OnePlatform(config, log)


@pytest.fixture(scope="session", autouse=True)
def machine_without_aws_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hides the person's AWS, Pulumi and fibfactory settings, and makes the cached Pulumi CLI findable."""
    nowhere = tmp_path_factory.getbasetemp() / "no-aws-settings"
    with pytest.MonkeyPatch.context() as environment:
        for name in [each for each in os.environ if each.startswith(_HIDDEN_PREFIXES)]:
            environment.delenv(name)
        environment.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
        # Else a client without keys looks for them at an address outside loopback.
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("NO_PROXY", "no_proxy"):
            environment.setenv(name, "127.0.0.1,localhost")
        pulumi_bin = find_pulumi_bin(os.environ)
        if pulumi_bin:
            environment.setenv("PATH", str(pulumi_bin), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files_go_with_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this process puts into temporary folders and never deletes, as Pulumi's Automation API does with its own."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud(machine_without_aws_settings: None) -> Iterator[RunningCloud]:
    """A local cloud for all tests of this worker: what a test makes in it has the test's own names."""
    with LocalCloud() as running:
        yield running


@pytest.fixture(scope="session")
def operator_session(cloud: RunningCloud) -> boto3.Session:
    """A session whose clients go to the local cloud as its administrator."""
    return cloud.session("operator")


@pytest.fixture(scope="session")
def platform(machine_without_aws_settings: None) -> Iterator[Platform]:
    """The platform, deployed by the real engine on a local cloud of its own."""
    with running_platform() as running:
        yield running

"""What all tests share: no AWS settings, and a local cloud and a platform for each xdist worker that needs one.

The rule: tests reach loopback only. The person's keys, profiles and endpoints are hidden, so that a client without an explicit
endpoint can't connect anywhere.
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
_PROGRAM_TESTS = {f"{_E2E}test_fibfactory_command.py", f"{_E2E}test_any_automation_program.py"}
_SWEEP_TESTS = {f"{_E2E}test_{name}.py" for name in ("deep_sweep", "sweeps", "twenty_environments")}
_OWN_WORKER = {
    f"{_E2E}test_{name}.py"
    for name in ("api_fuzz", "crash_points", "demo", "long_operations", "stateful_model", "up_and_down")
}
"""Files that get an xdist worker each: the long ones, and those that start a cloud or change the platform's functions."""
_LONGEST_FIRST = (
    f"{_E2E}test_long_operations.py",
    _CONTAINERS,
    *(f"{_E2E}test_{name}.py" for name in ("wrong_callers", "deep_sweep", "demo", "api_fuzz", "crash_points")),
    "tests/functional/test_bootstrap_deploy.py",
    "tests/functional/test_bootstrap_commands.py",
    f"{_E2E}test_stateful_model.py",
    f"{_E2E}test_fibfactory_command.py",
    "tests/functional/test_bad_accounts.py",
)
"""What starts first, so that no long file is left to run alone at the end. A file brings all that share its platform."""


class SharedPlatformScheduling(LoadScopeScheduling):
    """Each file's tests go to one worker, and all files that share a platform to the same one.

    So module fixtures are made once, and the platform is deployed four times: for the API's tests, for those of sweeps, for the
    programs' tests and for the containers' tests, which also share the images.
    It is a scheduler and not `xdist_group` marks, because pytest 9.2 with pytest-xdist 3.8 ignores those silently.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in _PROGRAM_TESTS:
            return "programs"
        if file in _SWEEP_TESTS:
            return "sweeps"
        if file.startswith(_CONTAINERS):
            return _CONTAINERS
        return _E2E if file.startswith(_E2E) and file not in _OWN_WORKER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute parallel tests as above, whatever --dist says, in the order of the collection."""
    config.option.loadscopereorder = False
    return SharedPlatformScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others keep their order."""
    items.sort(key=lambda item: next((n for n, path in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(path)), 99))


@pytest.fixture(scope="session", autouse=True)
def machine_without_aws_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the person's AWS, Pulumi and fibfactory settings, and put the cached Pulumi CLI on PATH."""
    missing = tmp_path_factory.getbasetemp() / "no-aws-settings"
    with pytest.MonkeyPatch.context() as environment:
        for name in [each for each in os.environ if each.startswith(_HIDDEN_PREFIXES)]:
            environment.delenv(name)
        environment.setenv("AWS_CONFIG_FILE", str(missing / "config"))
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(missing / "credentials"))
        # Otherwise a client without keys asks the EC2 metadata service, which is outside loopback.
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("NO_PROXY", "no_proxy"):
            environment.setenv(name, "127.0.0.1,localhost")
        pulumi_bin = find_pulumi_bin(os.environ)
        if pulumi_bin:
            environment.setenv("PATH", str(pulumi_bin), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files_are_removed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the temporary files that this process leaves, such as those of Pulumi's Automation API."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud(machine_without_aws_settings: None) -> Iterator[RunningCloud]:
    """A local cloud for all tests of this xdist worker; each test names what it creates after itself."""
    with LocalCloud() as running:
        yield running


@pytest.fixture(scope="session")
def operator_session(cloud: RunningCloud) -> boto3.Session:
    """A session whose clients call the local cloud as its administrator."""
    return cloud.session("operator")


@pytest.fixture(scope="session")
def platform(machine_without_aws_settings: None) -> Iterator[Platform]:
    """The platform, deployed by the real engine on a local cloud of its own."""
    with running_platform() as running:
        yield running

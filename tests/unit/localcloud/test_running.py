"""What a running cloud says to its clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import cloud_handle, running
from localcloud.identities import Identity
from localcloud.running import RunningCloud
from localcloud.settings import Ports
from localcloud.token_issuer import TokenIssuer


@pytest.fixture
def cloud(tmp_path: Path) -> RunningCloud:
    """A cloud whose supervisor has ended: process ids never reach this one."""
    return RunningCloud(
        folder=tmp_path / "cloud",
        ports=Ports(ministack=4566, apprunner=4567, provider=4568),
        identities=(Identity("alice", "arn:aws:iam::000000000000:user/alice", "AKIA1", "secret"),),
        mark="mark",
        supervisor_pid=2**30,
        supervisor_started=0.0,
        pulumi_bin=tmp_path / "pulumi",
        tokens=TokenIssuer("http://127.0.0.1:4569", "a key"),
    )


def test_the_environment_directs_every_client_to_the_cloud(cloud: RunningCloud) -> None:
    environment = cloud.environment(cloud.identity("alice"))
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (
        environment["AWS_ENDPOINT_URL_APPRUNNER"]
        == environment["AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API"]
        == "http://127.0.0.1:4567"
    )
    assert environment["PULUMI_DEBUG_PROVIDERS"] == "aws:4568,docker:4568"
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("AKIA1", "secret")
    assert environment["PATH"].startswith(str(cloud.pulumi_bin))


def test_the_environment_keeps_the_hosts_that_already_bypass_a_proxy(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "intranet")
    environment = cloud.environment(cloud.identity("alice"))
    assert environment["no_proxy"] == environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_an_unknown_identity_is_refused_with_a_list_of_the_known_ones(cloud: RunningCloud) -> None:
    with pytest.raises(KeyError, match="no identity 'carol'; there are alice"):
        cloud.identity("carol")


def test_a_written_cloud_is_read_back_unchanged(cloud: RunningCloud) -> None:
    cloud.write()
    assert running.read(cloud.folder) == cloud


def test_a_session_signs_as_its_identity_and_knows_both_endpoints(cloud: RunningCloud) -> None:
    cloud.write()
    session = cloud.session("alice")
    assert session.get_credentials().access_key == "AKIA1"
    assert session.region_name == "us-west-2"
    assert session.client("s3").meta.endpoint_url == "http://127.0.0.1:4566"
    assert session.client("apprunner").meta.endpoint_url == "http://127.0.0.1:4567"
    assert session.client("resourcegroupstaggingapi").meta.endpoint_url == "http://127.0.0.1:4567"


def test_a_cloud_whose_supervisor_has_ended_is_not_found_and_can_be_removed(cloud: RunningCloud) -> None:
    cloud.write()
    assert cloud_handle.find(cloud.folder) is None
    cloud_handle.remove_dead(cloud.folder)
    assert not cloud.folder.exists()


def test_a_folder_that_holds_no_cloud_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    cloud_handle.remove_dead(tmp_path)
    assert (tmp_path / "letter.txt").exists()

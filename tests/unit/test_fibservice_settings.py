"""fibservice's host and port, from its environment."""

from __future__ import annotations

import pytest

from fibservice.settings import InvalidSetting, Settings, read_settings


def test_without_settings_it_listens_on_8080_on_all_interfaces() -> None:
    assert read_settings({}) == Settings("0.0.0.0", 8080)


def test_an_empty_variable_counts_as_unset() -> None:
    assert read_settings({"HOST": "", "PORT": ""}) == Settings("0.0.0.0", 8080)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_host_and_port_come_from_the_environment(host: str) -> None:
    assert read_settings({"HOST": host, "PORT": "65535"}) == Settings(host, 65535)


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", "80.0", "+80", " 80", "٨٠", "9" * 5_000])
def test_a_bad_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^PORT must be a number"):
        read_settings({"PORT": port})


@pytest.mark.parametrize("host", ["localhost", "*", "127.0.0.1:80"])
def test_a_host_that_is_not_an_ip_address_is_refused_by_name(host: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^HOST must be an IP address"):
        read_settings({"HOST": host})

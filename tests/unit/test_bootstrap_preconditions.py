"""Checks before a deploy that need no account."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.commands.preconditions import check_pins
from bootstrap.errors import SettingsError
from bootstrap.program.archive import ROOT
from bootstrap.settings import load

CLI, PLUGIN = '[pulumi]\nsha256 = "{}"\n', '[pulumi-resource-aws]\nsha256 = "{}"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tools/images").mkdir(parents=True)
    return tmp_path


def check(checkout: Path, pins: str, **settings: object) -> None:
    (checkout / "tools/images/pins.toml").write_text(pins)
    check_pins(load({"region": "us-west-2", **settings}), checkout)


def test_an_image_is_not_built_with_a_program_of_unknown_checksum(checkout: Path) -> None:
    with pytest.raises(SettingsError, match="no checksum of pulumi-resource-aws, with") as refused:
        check(checkout, CLI.format("ab" * 32) + PLUGIN.format(""))
    assert "make images" in refused.value.advice
    with pytest.raises(SettingsError, match="no checksum of pulumi and pulumi-resource-aws"):
        check(checkout, CLI.format("") + PLUGIN.format(""))


def test_programs_that_are_pinned_or_come_from_elsewhere_are_accepted(checkout: Path) -> None:
    check(checkout, CLI.format("ab" * 32) + PLUGIN.format("ab" * 32))
    elsewhere = {"PULUMI_CLI_URL": "https://mirror.example/pulumi.tar.gz", "PULUMI_AWS_URL": ""}
    check(checkout, CLI.format("") + PLUGIN.format(""), build_arguments=elsewhere)
    check(checkout, CLI.format("") + PLUGIN.format(""), image_uri="000000000000.dkr.ecr.us-west-2.amazonaws.com/x:1")


def test_the_pins_of_this_checkout_can_be_read() -> None:
    settings = load({"region": "us-west-2", "build_arguments": {"PULUMI_CLI_URL": "", "PULUMI_AWS_URL": ""}})
    check_pins(settings, ROOT)

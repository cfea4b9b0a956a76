"""The operator's guide agrees with the code: alarms, options, settings."""

from __future__ import annotations

import re
import tomllib

from bootstrap.__main__ import bootstrap
from bootstrap.names import Names
from bootstrap.program.alarms import declared
from bootstrap.settings import Settings
from localcloud.settings import ROOT

GUIDE = (ROOT / "docs" / "aws.md").read_text("utf-8")
NAMES = Names("fibfactory", "aws", "us-west-2", "000000000000")


def test_the_guide_says_for_every_alarm_what_to_do() -> None:
    alarms = declared(Settings(region="us-west-2"), NAMES, {"iam": "a1", "github": "b2"})
    lines = [line.split("|")[1] for line in GUIDE.split("## Alarms")[1].splitlines() if line.startswith("| `")]
    assert {name for line in lines for name in re.findall(r"`([a-z0-9-]+)`", line)} == alarms.keys()


def test_the_guide_uses_only_options_that_exist() -> None:
    options = {option for command in bootstrap.commands.values() for each in command.params for option in each.opts}
    code = " ".join(re.findall(r"`[^`\n]+`", re.sub(r"^```$.*?^```$", "", GUIDE, flags=re.M | re.S)))
    ours = {option for option in re.findall(r"(?<![\w-])--[a-z-]+", code) if option not in _OTHERS}
    assert ours and ours <= options | {"--help"}


_OTHERS = {"--source-table-name", "--target-table-name", "--secrets-provider", "--stack", "--all"}
"""Those of the AWS CLI and of Pulumi's."""


def test_the_guides_settings_file_is_valid() -> None:
    (file,) = re.findall(r"^```toml$(.*?)^```$", GUIDE, flags=re.M | re.S)
    assert Settings.model_validate(tomllib.loads(file)).operators


def test_the_guide_names_only_settings_that_exist() -> None:
    named = set(re.findall(r"`((?:api|worker|alarm|build|github|light|permissions|max|image)_[a-z_]+)`", GUIDE))
    assert named - {"github_api_url"} <= Settings.model_fields.keys()

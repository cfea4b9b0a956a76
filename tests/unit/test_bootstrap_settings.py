"""What an operator may choose: everything is checked before anything is made, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.errors import SettingsError
from bootstrap.settings import Settings, load

IMAGE = "000000000000.dkr.ecr.us-west-2.amazonaws.com/fibfactory:1"
GOOD: dict[str, object] = {"region": "us-west-2", "image_uri": IMAGE}


def refused(**options: object) -> str:
    """The sentence with which these settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(None, {**GOOD, **options}, {})
    assert "nothing was touched" in caught.value.advice
    return caught.value.message


def test_a_region_and_an_image_are_all_that_has_to_be_given() -> None:
    settings = load(None, GOOD, {})
    assert (settings.platform, settings.code, settings.prefix) == ("fibfactory", "image", "fib-app")
    assert (settings.default_ttl, settings.max_lifetime, settings.allow_never) == ("12h", "7d", False)
    assert (settings.nightly_schedule, settings.light_schedule) == ("cron(0 3 * * ? *)", "rate(5 minutes)")


@pytest.mark.parametrize("platform", ["a", "Fib", "9fib", "fib_factory", "-fib", "f" * 22, "fib factory", "fib\n"])
def test_a_platform_that_no_name_can_begin_with_is_refused(platform: str) -> None:
    assert "platform" in refused(platform=platform)


@pytest.mark.parametrize("prefix", ["fib-", "Fib", "fib-apps", "f", "-fib", "fib\n"])
def test_a_prefix_that_app_runner_has_no_room_for_is_refused(prefix: str) -> None:
    assert "prefix" in refused(prefix=prefix)


def test_the_longest_prefix_and_the_longest_id_fit_app_runner() -> None:
    prefix = load(None, {**GOOD, "prefix": "fib-app"}, {}).prefix
    assert len(f"{prefix}-{'i' * 24}-service") == 40


def test_code_image_without_an_image_is_refused() -> None:
    assert "--image-uri" in refused(image_uri=None)


def test_an_image_with_code_archive_is_refused() -> None:
    assert "archive" in refused(code="archive")


@pytest.mark.parametrize("region", ["", "oregon", "us-west", "US-WEST-2", "us-west-2/"])
def test_what_is_no_region_is_refused(region: str) -> None:
    assert "region" in refused(region=region)


def test_a_missing_region_is_named() -> None:
    with pytest.raises(SettingsError, match="setting region is missing"):
        load(None, {"code": "archive"}, {"region": None})


@pytest.mark.parametrize("ttl", ["", "12", "12 h", "h", "1h2d", "0h", "never", "-1h", "٣h"])
def test_a_default_ttl_that_is_no_time_is_refused(ttl: str) -> None:
    assert "default_ttl" in refused(default_ttl=ttl)


def test_a_default_ttl_above_the_maximum_is_refused() -> None:
    assert "longer than max_lifetime" in refused(default_ttl="8d", max_lifetime="7d12h")


@pytest.mark.parametrize(
    "schedule", ["5 minutes", "rate(0 minutes)", "rate(5 parsecs)", "cron(* *)", "rate(5 minutes) "]
)
def test_what_scheduler_would_not_take_is_refused(schedule: str) -> None:
    assert "light_schedule" in refused(light_schedule=schedule)


@pytest.mark.parametrize(
    "operator", ["alice", "arn:aws:iam::123:role/ops", "arn:aws:s3:::bucket", "arn:aws:iam::*:role/x"]
)
def test_an_operator_that_is_no_role_or_user_is_refused(operator: str) -> None:
    assert "operators" in refused(operators=[operator])


def test_roles_and_users_may_be_operators() -> None:
    arns = ("arn:aws:iam::000000000000:role/path/ops", "arn:aws:iam::000000000000:user/alice")
    assert load(None, {**GOOD, "operators": arns}, {}).operators == arns


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("api_timeout", 30),
        ("worker_timeout", 901),
        ("worker_memory", 512),
        ("log_retention_days", 15),
        ("worker_storage", 1),
    ],
)
def test_what_lambda_or_its_logs_would_not_take_is_refused(setting: str, value: int) -> None:
    assert setting in refused(**{setting: value})


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = refused(platform="X", prefix="Y")
    assert "platform" in message and "prefix" in message


def test_a_setting_that_does_not_exist_is_named() -> None:
    assert refused(regoin="us-west-2") == "There is no setting regoin."


def test_options_win_over_the_file_and_the_file_over_the_surroundings(tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text(f'region = "eu-west-1"\nimage_uri = "{IMAGE}"\nplatform = "ours"\nworker_memory = 3008\n')
    settings = load(file, {"platform": "theirs", "prefix": None}, {"region": "us-west-2"})
    assert (settings.region, settings.platform, settings.worker_memory) == ("eu-west-1", "theirs", 3008)


@pytest.mark.parametrize("content", [None, b"region = ", b"\xff\xfe"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "platform.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"platform\.toml can't be read"):
        load(file, {}, {})


def test_the_table_is_protected_where_it_holds_something_unless_told_otherwise() -> None:
    assert Settings(region="us-west-2", image_uri=IMAGE).table_protected
    assert not Settings(region="us-west-2", code="archive").table_protected
    assert not Settings(region="us-west-2", image_uri=IMAGE, protect_table=False).table_protected

"""Every setting is checked before anything is made, and a wrong one is described in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bootstrap.errors import SettingsError
from bootstrap.names import Names
from bootstrap.program.functions import api_environment
from bootstrap.settings import Settings, load, read_file
from orchestrator.domain.access import owner_of
from orchestrator.settings import Settings as FunctionSettings

IMAGE = "000000000000.dkr.ecr.us-west-2.amazonaws.com/fibfactory:1"
GOOD: dict[str, object] = {"region": "us-west-2", "image_uri": IMAGE}


def refused(**options: object) -> str:
    """The message with which these settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load({**GOOD, **options})
    assert "nothing was changed" in caught.value.advice
    return caught.value.message


def test_a_region_and_an_image_are_all_that_has_to_be_given() -> None:
    settings = load(GOOD)
    assert (settings.platform, settings.code, settings.prefix) == ("fibfactory", "image", "fib-app")
    assert (settings.default_ttl, settings.max_lifetime, settings.allow_never) == ("12h", "7d", False)
    assert (settings.nightly_schedule, settings.light_schedule) == ("cron(0 3 * * ? *)", "rate(5 minutes)")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prefix": "Fib"}, "The setting prefix must be 2 to 7 lower-case letters, digits and hyphens, a letter first"),
        ({"region": "Oregon"}, "The setting region must be the name of a region, such as eu-west-1, not 'Oregon'"),
        ({"operators": ["me"]}, "The setting operators.0 must be the ARN of a role or user, or github:repository:ID"),
        ({"github_audience": "a", "github": [{"repository_owner_id": "octo"}]}, "the number of a user or organization"),
        ({"light_schedule": "rate(2 days)"}, "light_schedule must run every 1 day at least"),
        ({"nightly_schedule": "rate(200 hours)"}, "nightly_schedule must run every 7 days at least"),
        ({"light_schedule": "hourly"}, "must be a schedule such as rate(5 minutes) or cron(0 3 * * ? *)"),
        (
            {"image_uri": "foo:1"},
            "must be an image in ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME with a tag or digest",
        ),
        ({"image_uri": IMAGE.replace("us-west-2", "eu-west-1")}, "image_uri must be in us-west-2"),
    ],
)
def test_a_wrong_setting_is_described_in_words(wrong: dict[str, object], words: str) -> None:
    assert words in refused(**wrong)


@pytest.mark.parametrize("where", ["operators", "groups"])
def test_a_role_session_is_refused_as_an_identity(where: str) -> None:
    session = "arn:aws:sts::000000000000:assumed-role/Deploy/alice"
    assert "name the role alone" in refused(**{where: [session] if where == "operators" else {"team": [session]}})


@pytest.mark.parametrize(
    "platform", ["fib-", "a", "Fib", "9fib", "fib_factory", "-fib", "f" * 22, "fib factory", "fib\n"]
)
def test_a_platform_id_of_the_wrong_form_is_refused(platform: str) -> None:
    assert "platform" in refused(platform=platform)


@pytest.mark.parametrize("prefix", ["fib-", "Fib", "fib-apps", "f", "-fib", "fib\n"])
def test_a_prefix_that_does_not_fit_into_app_runners_names_is_refused(prefix: str) -> None:
    assert "prefix" in refused(prefix=prefix)


def test_the_longest_prefix_and_the_longest_id_fit_app_runner() -> None:
    prefix = load({**GOOD, "prefix": "fib-app"}).prefix
    assert len(f"{prefix}-{'i' * 24}-service") == 40


def test_code_image_without_an_image_builds_both_images() -> None:
    built = load({**GOOD, "image_uri": None})
    assert (built.builds_orchestrator, built.builds_sample) == (True, True)
    named = load(GOOD)
    assert (named.builds_orchestrator, named.builds_sample) == (False, False)
    archived = load({"region": "us-west-2", "code": "archive"})
    assert (archived.builds_orchestrator, archived.builds_sample) == (False, False)


def test_the_sample_image_can_be_built_alone_or_left_out() -> None:
    assert load({**GOOD, "build_sample": True}).builds_sample
    assert not load({**GOOD, "image_uri": None, "build_sample": False}).builds_sample


def test_build_arguments_without_a_build_are_refused() -> None:
    assert "build_arguments have no effect" in refused(build_arguments={"BASE": "python:3.11"})


def test_an_image_with_code_archive_is_refused() -> None:
    assert "archive" in refused(code="archive")


@pytest.mark.parametrize("region", ["", "oregon", "us-west", "US-WEST-2", "us-west-2/"])
def test_a_wrong_region_name_is_refused(region: str) -> None:
    assert "region" in refused(region=region)


def test_a_missing_region_is_named() -> None:
    with pytest.raises(SettingsError, match="setting region is missing"):
        load({"code": "archive"}, {"region": None})


@pytest.mark.parametrize("ttl", ["", "12", "12 h", "h", "1h2d", "0h", "never", "-1h", "٣h"])
def test_a_malformed_default_ttl_is_refused(ttl: str) -> None:
    assert "default_ttl" in refused(default_ttl=ttl)


def test_a_default_ttl_above_the_maximum_is_refused() -> None:
    assert "longer than max_lifetime" in refused(default_ttl="8d", max_lifetime="7d12h")


@pytest.mark.parametrize(
    "schedule", ["5 minutes", "rate(0 minutes)", "rate(5 parsecs)", "cron(* *)", "rate(5 minutes) "]
)
def test_a_schedule_that_eventbridge_would_refuse_is_refused(schedule: str) -> None:
    assert "light_schedule" in refused(light_schedule=schedule)


@pytest.mark.parametrize(
    "operator", ["alice", "arn:aws:iam::123:role/ops", "arn:aws:s3:::bucket", "arn:aws:iam::*:role/x"]
)
def test_an_operator_that_is_neither_role_nor_user_is_refused(operator: str) -> None:
    assert "operators" in refused(operators=[operator])


def test_roles_and_users_may_be_operators() -> None:
    arns = ("arn:aws:iam::000000000000:role/path/ops", "arn:aws:iam::000000000000:user/alice")
    assert load({**GOOD, "operators": arns}).operators == arns


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
def test_a_value_that_lambda_or_its_logs_would_refuse_is_refused(setting: str, value: int) -> None:
    assert setting in refused(**{setting: value})


def test_all_wrong_settings_are_named_at_once() -> None:
    message = refused(platform="X", prefix="Y")
    assert "platform" in message and "prefix" in message


def test_a_setting_that_does_not_exist_is_named() -> None:
    assert refused(regoin="us-west-2") == "There is no setting regoin."


def test_options_come_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text('region = "eu-west-1"\nplatform = "ours"\nworker_memory = 3008\n')
    settings = load({"region": "us-west-2"}, read_file(file), {"platform": "theirs", "prefix": None})
    assert (settings.region, settings.platform, settings.worker_memory) == ("eu-west-1", "theirs", 3008)


@pytest.mark.parametrize("content", [None, b"region = ", b"\xff\xfe"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "platform.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"platform\.toml can't be read"):
        load(read_file(file))


def test_the_table_is_protected_with_code_image_unless_a_setting_says_otherwise() -> None:
    assert Settings(region="us-west-2", image_uri=IMAGE).table_protected
    assert not Settings(region="us-west-2", code="archive").table_protected
    assert not Settings(region="us-west-2", image_uri=IMAGE, protect_table=False).table_protected


@pytest.mark.parametrize(
    "registry", ["registry.example", "https://registry.example/", "Registry.example/", "a//", "/", ""]
)
def test_a_registry_must_be_a_prefix_that_ends_in_a_slash(registry: str) -> None:
    assert "image_registries" in refused(image_registries=[registry])


@pytest.mark.parametrize("registry", ["public.ecr.aws/fibfactory/", "registry.example:5000/", "ghcr.io/team/apps/"])
def test_a_registry_or_a_path_in_one_is_accepted(registry: str) -> None:
    assert load({**GOOD, "image_registries": [registry]}).image_registries == (registry,)


ROLE = "arn:aws:iam::000000000000:role/environments"
SECRETS = "arn:aws:secretsmanager:us-west-2:000000000000:secret:fibfactory/"


@pytest.mark.parametrize("half", [{"secrets_prefix": SECRETS}, {"instance_role_arn": ROLE}])
def test_a_secrets_prefix_and_the_role_that_reads_it_are_required_together(half: dict[str, str]) -> None:
    assert "secrets_prefix and instance_role_arn go together" in refused(**half)


@pytest.mark.parametrize(
    "prefix",
    [
        "arn:aws:secretsmanager:us-west-2:000000000000:secret:fibfactory",
        "arn:aws:secretsmanager:us-west-2:000000000000:secret:*/",
        "arn:aws:s3:::bucket/",
        "fibfactory/",
    ],
)
def test_a_secrets_prefix_that_would_match_other_secrets_is_refused(prefix: str) -> None:
    assert "secrets_prefix" in refused(secrets_prefix=prefix, instance_role_arn=ROLE)


def test_secrets_of_another_region_are_refused() -> None:
    elsewhere = SECRETS.replace("us-west-2", "eu-west-1")
    assert "must be in us-west-2" in refused(secrets_prefix=elsewhere, instance_role_arn=ROLE)


@pytest.mark.parametrize("prefix", [SECRETS, "arn:aws:ssm:us-west-2:000000000000:parameter/fibfactory/"])
def test_secrets_and_parameters_are_accepted(prefix: str) -> None:
    assert load({**GOOD, "secrets_prefix": prefix, "instance_role_arn": ROLE}).secrets_prefix == prefix


@pytest.mark.parametrize("half", [{"github_audience": "fibfactory"}, {"github": [{"repository_owner_id": "1"}]}])
def test_github_workflows_and_their_audience_are_required_together(half: dict[str, object]) -> None:
    assert "github and github_audience go together" in refused(**half)


@pytest.mark.parametrize(
    "callers",
    [
        {"repository_id": "2"},
        {"repository_owner_id": "octocat"},
        {"repository_owner_id": "1", "repository": "octocat/hello"},
        {"repository_owner_id": "1", "refs": ["main"]},
        {"repository_owner_id": "1", "refs": []},
        {"repository_owner_id": "1", "job_workflow_refs": ["deploy.yml"]},
    ],
)
def test_github_workflows_are_named_by_numbers_and_whole_references(callers: dict[str, object]) -> None:
    assert "github" in refused(github=[callers], github_audience="fibfactory")


def test_github_workflows_can_be_given_in_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text(
        'region = "us-west-2"\ncode = "archive"\ngithub_audience = "fibfactory"\n'
        '[[github]]\nrepository_owner_id = "1"\nrepository_id = "2"\nrefs = ["refs/heads/*"]\n'
        '[groups]\nteam = ["arn:aws:iam::000000000000:role/dev", "github:repository:2"]\n'
    )
    settings = load(read_file(file))
    (callers,) = settings.github
    assert (callers.repository_owner_id, callers.repository_id, callers.refs) == ("1", "2", ("refs/heads/*",))
    assert settings.groups == {"team": ("arn:aws:iam::000000000000:role/dev", "github:repository:2")}


def test_an_identity_in_two_groups_is_refused() -> None:
    message = refused(groups={"red": ["github:repository:1"], "blue": ["github:repository:1"]})
    assert "groups red and blue both have github:repository:1" in message


_DEV = "arn:aws:sts::000000000000:assumed-role/dev"
_PERSON = "arn:aws:sts::000000000000:assumed-role/AWSReservedSSO_dev_1/ann"


@pytest.mark.parametrize(
    "other", ["arn:aws:iam::000000000000:role/some/path/dev", "arn:aws:iam::000000000000:role/dev", _DEV]
)
def test_a_role_in_two_groups_is_refused_whichever_of_its_arns_are_given(other: str) -> None:
    assert "an identity can be in one group only" in refused(groups={"red": [_DEV], "blue": [other]})


@pytest.mark.parametrize(
    "identity",
    [
        "arn:aws:iam::000000000000:role/team/",
        "arn:aws:iam::000000000000:role//ci",
        "arn:aws:iam::000000000000:user//alice",
        f"{_DEV}/",
        f"{_PERSON}/x",
    ],
)
def test_an_identity_that_the_functions_would_refuse_at_their_start_is_refused(identity: str) -> None:
    assert "operators.0 must" in refused(operators=[identity])
    assert "groups.team.0 must" in refused(groups={"team": [identity]})


@pytest.mark.parametrize(
    "identity", ["arn:aws:iam::000000000000:role/some/path/dev", _DEV, _PERSON, "github:repository:1"]
)
def test_the_functions_start_with_the_settings_of_a_deploy(monkeypatch: pytest.MonkeyPatch, identity: str) -> None:
    rule = {"repository_owner_id": "1", "repository_id": "2", "refs": ["refs/heads/*"]}
    settings = load(
        {
            **GOOD,
            "operators": [identity],
            "groups": {"team": [identity]},
            "github_audience": "fibfactory",
            "github": [rule],
            "image_registries": ["public.ecr.aws/team/"],
            "secrets_prefix": SECRETS,
            "instance_role_arn": ROLE,
        }
    )
    names = Names(settings.platform, "aws", settings.region, "000000000000")
    for name, value in api_environment(settings, names).items():
        monkeypatch.setenv(name, value)
    functions = FunctionSettings()  # type: ignore[call-arg]
    assert functions.access.operators == {owner_of(identity)}
    assert functions.access.group_of == {owner_of(identity): "team"}
    assert [(each.repository_owner_id, each.repository_id, each.refs) for each in functions.github] == [
        ("1", "2", ("refs/heads/*",))
    ]
    assert (functions.policy.registries, functions.policy.secrets_prefix) == (("public.ecr.aws/team/",), SECRETS)


def test_a_person_can_be_in_another_group_than_the_permission_set() -> None:
    role = _PERSON.rpartition("/")[0]
    load({**GOOD, "groups": {"red": [role], "blue": [_PERSON]}})


@pytest.mark.parametrize("name", ["Red", "r", "-red", "red team", "r" * 41])
def test_a_malformed_group_name_is_refused(name: str) -> None:
    assert "groups" in refused(groups={name: []})


def test_lists_too_long_for_a_functions_environment_are_refused() -> None:
    many = [f"arn:aws:iam::000000000000:user/{'n' * 50}{number}" for number in range(40)]
    assert "has room for" in refused(operators=many)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("permissions_boundary", ROLE),
        ("worker_policies", [ROLE]),
        ("worker_policies", ["arn:aws:iam::aws:policy/ReadOnlyAccess"] * 11),
        ("instance_role_arn", "role/environments"),
        ("alarm_emails", ["nobody"]),
        ("github_issuer", "token.actions.githubusercontent.com"),
        ("api_concurrency", 0),
        ("worker_concurrency", 1),
        ("environments_per_owner", 0),
    ],
)
def test_a_value_that_aws_would_refuse_later_is_refused(setting: str, value: object) -> None:
    assert setting in refused(**{setting: value})


def test_settings_written_as_json_can_be_loaded_again() -> None:
    chosen = load({**GOOD, "github_audience": "a", "github": [{"repository_owner_id": "1"}], "prefix": "demo"})
    kept = json.loads(chosen.model_dump_json())
    assert load(kept) == chosen

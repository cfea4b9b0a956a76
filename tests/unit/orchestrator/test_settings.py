"""A function refuses malformed settings at its start, and a setting that is left out allows nothing."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from orchestrator.domain.access import Access
from orchestrator.domain.environment import Spec
from orchestrator.domain.errors import BadRequest
from orchestrator.settings import Settings

USER = "arn:aws:iam::123456789012:user/alice"
ROLE = "arn:aws:iam::123456789012:role/teams/Ops"
NEEDED = {"FIBFACTORY_PLATFORM": "tests", "FIBFACTORY_TABLE": "t", "FIBFACTORY_WORKER_FUNCTION": "w"}


def read(monkeypatch: pytest.MonkeyPatch, **variables: object) -> Settings:
    """Settings from a function's environment; values other than texts are written as JSON."""
    given = {
        f"FIBFACTORY_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in variables.items()
    }
    for name, value in {**NEEDED, **given}.items():
        monkeypatch.setenv(name, value)
    return Settings()  # type: ignore[call-arg]


def test_settings_that_are_left_out_allow_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.access == Access()
    assert settings.access.github.workflows == ()
    assert settings.environments_per_owner == 20
    with pytest.raises(BadRequest):
        settings.policy.check(Spec("public.ecr.aws/a/b"))


def test_an_empty_variable_counts_as_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, operators="", groups="", github="", image_registries="", secrets_prefix="")
    assert (settings.access, settings.policy.secrets_prefix, settings.policy.registries) == (Access(), None, ())


def test_all_access_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        operators=[ROLE, "github:repository:9"],
        groups={"team-a": [USER, "github:repository:2001"], "team-b": []},
        session_owners=True,
        github=[{"repository_owner_id": "1001", "repository_id": "2001", "refs": ["refs/heads/*"]}],
        github_issuer="https://github.example/_services/token",
        environments_per_owner="3",
        image_registries=["123456789012.dkr.ecr.us-west-2.amazonaws.com/", "public.ecr.aws/a/"],
        secrets_prefix="arn:aws:ssm:us-west-2:123456789012:parameter/fib/",
    )
    access = settings.access
    assert access.operators == {"arn:aws:sts::123456789012:assumed-role/Ops", "github:repository:9"}
    assert access.group_of == {USER: "team-a", "github:repository:2001": "team-a"}
    assert access.session_owners and access.github.issuer == "https://github.example/_services/token"
    assert [each.refs for each in access.github.workflows] == [("refs/heads/*",)]
    assert settings.policy.environments_per_owner == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("operators", "not json"),
        ("operators", ["alice"]),
        ("operators", ["github:repository:acme/app"]),
        ("operators", [f"{USER}\n"]),
        ("operators", ["*"]),
        ("operators", ["arn:aws:sts::123456789012:assumed-role/Deploy/alice"]),
        ("operators", ["arn:aws:iam::123456789012:role/team/"]),
        ("operators", ["arn:aws:iam::123456789012:role//ci"]),
        ("groups", [USER]),
        ("groups", {"Team A": [USER]}),
        ("groups", {"team-a": USER}),
        ("groups", {"team-a": ["group:team-b"]}),
        ("groups", {"team-a": [USER], "team-b": [USER]}),
        ("groups", {"team-a": [ROLE], "team-b": ["arn:aws:sts::123456789012:assumed-role/Ops"]}),
        ("session_owners", "perhaps"),
        ("github", {"repository_owner_id": "1001"}),
        ("github", [{}]),
        ("github", [{"repository_id": "2001"}]),
        ("github", [{"repository_owner_id": "acme"}]),
        ("github", [{"repository_owner_id": 1001}]),
        ("github", [{"repository_owner_id": ""}]),
        ("github", [{"repository_owner_id": "1001", "repository": "acme/app"}]),
        ("github", [{"repository_owner_id": "1001", "refs": []}]),
        ("github", [{"repository_owner_id": "1001", "refs": "refs/heads/main"}]),
        ("github", [{"repository_owner_id": "1001", "refs": ["main"]}]),
        ("github", [{"repository_owner_id": "1001", "job_workflow_refs": []}]),
        ("github", [{"repository_owner_id": "1001", "job_workflow_refs": ["deploy.yml"]}]),
        ("github_issuer", "token.actions.githubusercontent.com"),
        ("github_issuer", "https://"),
        ("environments_per_owner", "0"),
        ("image_registries", ["public.ecr.aws"]),
        ("image_registries", ["public.ecr.aws/fibfactory"]),
        ("image_registries", ["PUBLIC.ecr.aws/"]),
        ("image_registries", ["*/"]),
        ("image_registries", ["/"]),
        ("image_registries", [""]),
        ("image_registries", ["public.ecr.aws//"]),
        ("image_registries", "public.ecr.aws/"),
        ("secrets_prefix", "arn:aws:secretsmanager:us-west-2:123456789012:secret:fib"),
        ("secrets_prefix", "arn:aws:secretsmanager:us-west-2:*:secret:fib/"),
        ("secrets_prefix", "arn:aws:s3:::bucket/"),
        ("secrets_prefix", "arn:"),
    ],
)
def test_a_malformed_setting_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    with pytest.raises((ValidationError, SettingsError)):
        read(monkeypatch, **{name: value})

"""A caller is what API Gateway proved, and GitHub's tokens are accepted from listed workflows only (I7)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api.authentication import caller_of
from orchestrator.domain.access import Access, GitHub, WorkflowRule, owner_of
from orchestrator.domain.errors import Forbidden, Unauthenticated

ROLE = "arn:aws:sts::123456789012:assumed-role/Ops"
SSO = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_0123456789abcdef"
JANE, JOE = f"{SSO}/jane@example.org", f"{SSO}/joe@example.org"
USER = "arn:aws:iam::123456789012:user/alice"
ISSUER = "https://token.actions.githubusercontent.com"
CLAIMS = {
    "iss": ISSUER,
    "aud": "fibfactory",
    "sub": "repo:acme/app:ref:refs/heads/main",
    "exp": "1764000000",
    "repository_id": "2001",
    "repository_owner_id": "1001",
    "ref": "refs/heads/main",
    "event_name": "push",
    "job_workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main",
}
REPOSITORY = "github:repository:2001"


def signed(arn: object) -> dict[str, Any]:
    return {"authorizer": {"iam": {"userArn": arn}}}


def token(**changes: object) -> dict[str, Any]:
    """A request context with a token's claims, some of them changed; a claim changed to None is left out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}


def allowing(*workflows: WorkflowRule) -> Access:
    return Access(github=GitHub(ISSUER, workflows))


@pytest.mark.parametrize(
    ("arn", "owner"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Ops/session-1", ROLE),
        (ROLE, ROLE),
        ("arn:aws:iam::123456789012:role/Ops", ROLE),
        ("arn:aws:iam::123456789012:role/teams/platform/Ops", ROLE),
        ("arn:aws-cn:iam::123456789012:role/Ops", "arn:aws-cn:sts::123456789012:assumed-role/Ops"),
        (USER, USER),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
        (JANE, JANE),
        (REPOSITORY, REPOSITORY),
    ],
)
def test_an_owner_is_a_role_without_its_session_a_user_a_person_or_a_repository(arn: str, owner: str) -> None:
    assert owner_of(arn) == owner


@pytest.mark.parametrize("operator", [ROLE, "arn:aws:iam::123456789012:role/teams/Ops"])
def test_an_operators_role_is_recognized_by_either_arn(operator: str) -> None:
    context = signed("arn:aws:sts::123456789012:assumed-role/Ops/me")
    assert caller_of(context, Access(operators={owner_of(operator)})).operator
    assert not caller_of(context, Access(operators={owner_of("arn:aws:iam::123456789012:role/Other")})).operator


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": "arn:aws:iam::123456789012:user/alice"},
        {"authorizer": {}},
        {"authorizer": {"iam": None}},
        {"authorizer": {"jwt": None}},
        {"authorizer": {"jwt": {"claims": None}}},
        {"authorizer": {"jwt": {"claims": {}}}},
        {"authorizer": {"lambda": {"userArn": USER}}},
        {"authorizer": {**signed(USER)["authorizer"], **token()["authorizer"]}},
        signed(""),
        signed(None),
        signed(["arn:aws:iam::123456789012:user/alice"]),
        signed("arn:"),
        signed(f"{USER}\n"),
        signed("arn:aws:sts::123456789012:assumed-role/Ops"),
        signed("arn:aws:sts::123456789012:federated-user/alice"),
        signed("group:team-a"),
    ],
)
def test_a_context_that_proves_no_identity_is_refused(context: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(context, allowing(WorkflowRule("1001")))


def test_people_own_for_themselves_where_session_owners_is_set() -> None:
    assert caller_of(signed(JANE), Access()).owner == SSO
    assert caller_of(signed(JANE), Access(session_owners=True)).owner == JANE
    assert (
        caller_of(signed("arn:aws:sts::123456789012:assumed-role/Ops/jane"), Access(session_owners=True)).owner == ROLE
    )


@pytest.mark.parametrize("session_owners", [True, False])
def test_settings_can_name_a_person_or_a_whole_permission_set(session_owners: bool) -> None:
    one = Access(operators={JANE}, group_of={JANE: "team-a"}, session_owners=session_owners)
    assert caller_of(signed(JANE), one).operator and not caller_of(signed(JOE), one).operator
    assert (caller_of(signed(JANE), one).group, caller_of(signed(JOE), one).group) == ("team-a", None)
    all_of_them = Access(operators={SSO}, group_of={SSO: "team-a", JOE: "team-b"}, session_owners=session_owners)
    assert caller_of(signed(JANE), all_of_them).operator
    assert [caller_of(signed(who), all_of_them).group for who in (JANE, JOE)] == ["team-a", "team-b"]


def test_a_group_member_owns_as_the_group_and_keeps_what_it_had() -> None:
    caller = caller_of(signed(USER), Access(group_of={USER: "team-a"}))
    assert caller.owner == "group:team-a"
    assert caller.acts_for("group:team-a") and caller.acts_for(USER)
    assert not caller.acts_for("group:team-b")


@pytest.mark.parametrize(
    "workflows",
    [
        WorkflowRule("1001"),
        WorkflowRule("1001", "2001"),
        WorkflowRule("1001", refs=("refs/heads/release/*", "refs/heads/main")),
        WorkflowRule("1001", job_workflow_refs=("acme/app/.github/workflows/*@refs/heads/main",)),
        WorkflowRule("1001", "2001", ("refs/*",), ("acme/*/deploy.yml@*",)),
    ],
)
def test_a_listed_workflow_is_let_in_as_its_repository(workflows: WorkflowRule) -> None:
    caller = caller_of(token(), allowing(WorkflowRule("1"), workflows))
    assert (caller.owner, caller.operator) == (REPOSITORY, False)


def test_a_repository_can_be_an_operator_and_in_a_group() -> None:
    access = Access({REPOSITORY}, {REPOSITORY: "team-a"}, github=GitHub(ISSUER, [WorkflowRule("1001")]))
    caller = caller_of(token(), access)
    assert caller.operator and caller.owner == "group:team-a"


@pytest.mark.parametrize(
    "workflows",
    [
        WorkflowRule("1002"),
        WorkflowRule("1002", "2001"),
        WorkflowRule("1001", "2002"),
        WorkflowRule("1001", refs=("refs/heads/mai",)),
        WorkflowRule("1001", refs=("refs/heads/release/*",)),
        WorkflowRule("1001", refs=("heads/main",)),
        WorkflowRule("1001", refs=()),
        WorkflowRule("1001", job_workflow_refs=("acme/app/.github/workflows/deploy.yml@refs/heads/release",)),
        WorkflowRule("1001", "2001", ("refs/heads/main",), ("evil/*",)),
    ],
)
def test_an_unlisted_workflow_is_not_let_in(workflows: WorkflowRule) -> None:
    with pytest.raises(Forbidden) as refusal:
        caller_of(token(), allowing(workflows))
    assert refusal.value.code == "not_allowed"
    assert "1001" not in refusal.value.message and "2001" not in refusal.value.message


def test_without_a_list_no_workflow_is_let_in() -> None:
    with pytest.raises(Forbidden):
        caller_of(token(), Access())


@pytest.mark.parametrize("name", ["iss", "exp", "repository_id", "repository_owner_id", "ref", "event_name"])
@pytest.mark.parametrize(
    "value", [None, "", " ", 2001, 1.5, True, ["2001"], {"a": "1"}, "null", "true", "[2001 2002]", "[refs/heads/main]"]
)
def test_a_required_claim_must_be_present_and_a_plain_text(name: str, value: object) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(token(**{name: value}), allowing(WorkflowRule("1001")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", f"{ISSUER}/"),
        ("iss", "https://token.actions.githubusercontent.com.evil.example"),
        ("iss", "HTTPS://token.actions.githubusercontent.com"),
        ("repository_id", "２００１"),
        ("repository_id", "2001\n"),
        ("repository_id", "2001 "),
        ("repository_id", "-2001"),
        ("repository_id", "9" * 21),
        ("repository_owner_id", "1001,1002"),
        ("repository_owner_id", "1001\u200b"),
        ("ref", "main"),
        ("ref", "refs/heads/main refs/heads/x"),
        ("ref", "refs/heads/main\0"),
        ("ref", "refs/heads/*"),
        ("ref", "refs/" + "x" * 501),
        ("event_name", "PUSH"),
    ],
)
def test_a_claim_that_is_nearly_right_is_refused(name: str, value: str) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(token(**{name: value}), allowing(WorkflowRule("1001")))


def test_the_subject_proves_nothing() -> None:
    for sub in (None, "repo:acme/app:ref:refs/heads/main", "repo:evil/app:environment:prod"):
        assert caller_of(token(sub=sub), allowing(WorkflowRule("1001"))).owner == REPOSITORY
        with pytest.raises(Forbidden):
            caller_of(token(sub=sub, repository_owner_id="1002"), allowing(WorkflowRule("1001")))


def test_a_workflow_started_by_pull_request_target_is_not_let_in() -> None:
    with pytest.raises(Forbidden, match="pull_request_target") as refusal:
        caller_of(token(event_name="pull_request_target"), allowing(WorkflowRule("1001", "2001")))
    assert refusal.value.code == "not_allowed"


@pytest.mark.parametrize("value", [None, "", 7, ["acme/app/x.yml@refs/heads/main"], "[acme/app/x.yml@refs/heads/main]"])
def test_the_workflow_file_claim_is_required_where_files_are_listed(value: object) -> None:
    with pytest.raises(Forbidden):
        caller_of(token(job_workflow_ref=value), allowing(WorkflowRule("1001", job_workflow_refs=("*",))))

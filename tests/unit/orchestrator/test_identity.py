"""Owners come from what API Gateway proved, and roles are themselves whatever their session (I7)."""

from __future__ import annotations

import pytest

from orchestrator.errors import Unauthenticated
from orchestrator.identity import caller_of, owner_of

ROLE = "arn:aws:sts::123456789012:assumed-role/Ops"


@pytest.mark.parametrize(
    ("arn", "owner"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Ops/session-1", ROLE),
        (ROLE, ROLE),
        ("arn:aws:iam::123456789012:role/Ops", ROLE),
        ("arn:aws:iam::123456789012:role/teams/platform/Ops", ROLE),
        ("arn:aws-cn:iam::123456789012:role/Ops", "arn:aws-cn:sts::123456789012:assumed-role/Ops"),
        ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/alice"),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
    ],
)
def test_an_owner_is_a_role_without_its_session_or_a_user(arn: str, owner: str) -> None:
    assert owner_of(arn) == owner


@pytest.mark.parametrize("operator", [ROLE, "arn:aws:iam::123456789012:role/teams/Ops"])
def test_an_operators_role_is_known_in_either_form(operator: str) -> None:
    context = {"authorizer": {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/Ops/me"}}}
    assert caller_of(context, [operator]).operator
    assert not caller_of(context, ["arn:aws:iam::123456789012:role/Other"]).operator


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"iam": None}},
        {"authorizer": {"iam": {"userArn": ""}}},
    ],
)
def test_nobody_is_unauthenticated(context: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(context, [])

"""Who may use a platform: its identities, groups, operators and GitHub workflows, and what follows for a caller.

Settings name an identity in one of these forms:

    arn:aws:iam::123456789012:role/PATH/ROLE
    arn:aws:sts::123456789012:assumed-role/ROLE                         the same role
    arn:aws:iam::123456789012:user/NAME
    arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_SET/PERSON    a person of IAM Identity Center
    github:repository:ID

The rule: no identity is one whose holder can choose its name. A role's session is therefore never an identity, except for a
person of IAM Identity Center, whose session AWS names; and GitHub's repositories are known by their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from orchestrator.domain.environment import Environment
from orchestrator.domain.formats import TextFormat

_NAME = "[A-Za-z0-9_+=,.@-]+"
_ACCOUNT = "[0-9]{12}"
_IDENTITY = TextFormat(
    rf"arn:aws[a-z-]*:iam::{_ACCOUNT}:(?:role|user)/(?:{_NAME}/)*{_NAME}"
    rf"|arn:aws[a-z-]*:sts::{_ACCOUNT}:assumed-role/(?:{_NAME}|AWSReservedSSO_{_NAME}/{_NAME})"
    r"|github:repository:[0-9]+",
    "the ARN of a role or user, or github:repository:ID",
)
_ROLE = re.compile(r"arn:([^:]+):iam::([0-9]+):role/(?:.*/)?([^/]+)")
_ASSUMED_ROLE = re.compile(r"arn:([^:]+):sts::([0-9]+):assumed-role/([^/]+)(?:/.*)?")
_SESSION = re.compile(r"arn:[^:]+:sts::[0-9]+:assumed-role/[^/]+/.+")
_PERSON = re.compile(r"arn:[^:]+:sts::[0-9]+:assumed-role/AWSReservedSSO_[^/]+/[^/]+")

GROUP_NAME = TextFormat(
    "[a-z][a-z0-9-]{0,38}[a-z0-9]", "2 to 40 lower-case letters, digits and hyphens, a letter first"
)
ISSUER_URL = TextFormat(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?", "a URL without a query"
)
"""API Gateway itself requires TLS."""
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
_OWNER_ID = TextFormat("[0-9]+", "the number of a user or organization, not the name")
_REPOSITORY_ID = TextFormat("[0-9]+", "a repository's number, not its name")
_REF = TextFormat(r"refs/\S+", "a whole ref such as refs/heads/main")
_WORKFLOW_FILE = TextFormat(r"[^\s/]+/[^\s/]+/\S+@\S+", "OWNER/REPOSITORY/PATH@REF")


def check_identity(identity: str) -> str:
    """The identity itself, if settings may name it. Raises ValueError `must …` otherwise."""
    if _SESSION.fullmatch(identity) and not _PERSON.fullmatch(identity):
        raise ValueError(
            f"must not be a session, as {identity} is: whoever assumes a role chooses the session's name; name the role alone"
        )
    return _IDENTITY.check(identity)


def owner_of(identity: str) -> str:
    """The owner that an identity stands for: a person or user as it is, a role in one form whichever way it is written.

    `arn:aws:iam::123456789012:role/path/ROLE` and `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` are both
    `arn:aws:sts::123456789012:assumed-role/ROLE`: a session's ARN does not have its role's path.
    """
    return identity if _PERSON.fullmatch(identity) else _role_of(identity)


def _role_of(identity: str) -> str:
    """The role of a role or session, of a person too; anything else as it is."""
    role = _ROLE.fullmatch(identity) or _ASSUMED_ROLE.fullmatch(identity)
    return "arn:{}:sts::{}:assumed-role/{}".format(*role.groups()) if role else identity


def groups_by_member(groups: Mapping[str, Collection[str]]) -> Mapping[str, str]:
    """Each member's group, the member as `owner_of` gives it. Raises ValueError when an identity is in two groups."""
    found: dict[str, str] = {}
    for group, members in groups.items():
        for member in members:
            other = found.setdefault(owner_of(member), group)
            if other != group:
                raise ValueError(f"groups {other} and {group} both have {member}: an identity can be in one group only")
    return found


@dataclass(frozen=True)
class WorkflowRule:
    """GitHub workflows that are allowed: those of an owner, or of one repository, for these refs, from these workflow files.

    None stands for any. Refs and workflow files may contain `*` and `?`, which also match slashes. Owners and repositories are
    given by their numbers, because a name that is given up can be taken by somebody else.
    """

    repository_owner_id: str
    repository_id: str | None = None
    refs: tuple[str, ...] | None = None
    job_workflow_refs: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raises ValueError for a rule that no token can match, or that matches one only by mistake."""
        for name, text_format, values in (
            ("repository_owner_id", _OWNER_ID, (self.repository_owner_id,)),
            ("repository_id", _REPOSITORY_ID, None if self.repository_id is None else (self.repository_id,)),
            ("refs", _REF, self.refs),
            ("job_workflow_refs", _WORKFLOW_FILE, self.job_workflow_refs),
        ):
            if values == ():
                raise ValueError(f"{name} must not be empty: leave it out to allow all of them")
            for value in values or ():
                try:
                    text_format.check(value)
                except ValueError as error:
                    raise ValueError(f"{name} {error}") from error

    def allows(self, repository_owner_id: str, repository_id: str, ref: str, job_workflow_ref: str) -> bool:
        """Whether a token with these claims is such a workflow's; a claim that it does not have is empty."""
        return (
            repository_owner_id == self.repository_owner_id
            and self.repository_id in (None, repository_id)
            and (self.refs is None or _matches(ref, self.refs))
            and (self.job_workflow_refs is None or _matches(job_workflow_ref, self.job_workflow_refs))
        )


def _matches(claim: str, patterns: Collection[str]) -> bool:
    # `*` also matches an empty text, but an absent claim matches no pattern.
    return claim != "" and any(fnmatchcase(claim, pattern) for pattern in patterns)


@dataclass(frozen=True)
class GitHub:
    """The issuer of the tokens that are accepted, and the workflows that they are accepted from."""

    issuer: str = GITHUB_ISSUER
    workflows: Collection[WorkflowRule] = ()


@dataclass(frozen=True)
class Caller:
    """Who sends a request, as their own credentials prove it; nothing in the request decides it."""

    identity: str
    operator: bool
    group: str | None = None
    """The group with which this caller owns environments."""

    @property
    def owner(self) -> str:
        """The owner of what this caller creates."""
        return f"group:{self.group}" if self.group else self.identity

    def acts_for(self, owner: str) -> bool:
        """Whether the caller may see and change what this owner has. A group's member keeps what it created before it joined."""
        return owner in (self.owner, self.identity)

    def may_see(self, environment: Environment) -> bool:
        """Whether the caller may see and change the environment; an operator may in any case."""
        return self.operator or self.acts_for(environment.owner)


@dataclass(frozen=True)
class Access:
    """A platform's access settings. Operators and groups' members are as `owner_of` gives them."""

    operators: Collection[str] = frozenset()
    group_of: Mapping[str, str] = field(default_factory=dict)
    session_owners: bool = False
    """Whether people of IAM Identity Center own environments each for themselves, not as their permission set's role."""
    github: GitHub = field(default_factory=GitHub)

    def caller(self, identity: str) -> Caller:
        """The caller with this proven identity. What the settings say of a person counts before what they say of the role."""
        owner, role = owner_of(identity), _role_of(identity)
        return Caller(
            identity=owner if self.session_owners else role,
            operator=owner in self.operators or role in self.operators,
            group=self.group_of.get(owner, self.group_of.get(role)),
        )

"""The settings that an operator chooses for a deploy and that the functions then keep: who may use a platform, and for what.

`bootstrap` checks them before a deploy, the functions at their start: both as this model, so each setting is written down once.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from orchestrator.domain import access
from orchestrator.domain.access import WorkflowRule, groups_by_member
from orchestrator.domain.policy import REGISTRY, SECRETS_PREFIX

Identity = Annotated[str, AfterValidator(access.check_identity)]
GroupName = Annotated[str, AfterValidator(access.GROUP_NAME.check)]
IssuerUrl = Annotated[str, AfterValidator(access.ISSUER_URL.check)]
Registry = Annotated[str, AfterValidator(REGISTRY.check)]
SecretsPrefix = Annotated[str, AfterValidator(SECRETS_PREFIX.check)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GitHubCallers(WorkflowRule):
    """An entry of the setting `github`."""

    def __post_init__(self) -> None:
        self.check()


class AccessSettings(BaseModel):
    """The descriptions are also the help of bootstrap's options. Left out, each setting allows nothing."""

    model_config = ConfigDict(frozen=True)

    # Not docstrings of the attributes: to read those, pydantic parses this file at each start of a function.
    operators: tuple[Identity, ...] = Field((), description="Who may see and change all environments, and run sweeps.")
    groups: dict[GroupName, tuple[Identity, ...]] = Field(
        {}, description="Who owns environments together, by the groups' names."
    )
    session_owners: bool = Field(
        False,
        description="Whether people of IAM Identity Center own environments each for themselves, not as their role.",
    )
    github: tuple[GitHubCallers, ...] = Field(
        (), description="The workflows that may call the API with GitHub's tokens."
    )
    github_issuer: IssuerUrl = Field(
        access.GITHUB_ISSUER, description="The issuer of these tokens; GitHub Enterprise has its own."
    )
    environments_per_owner: int = Field(
        20, ge=1, le=10000, description="How many active environments an owner may have; operators may have any number."
    )
    secrets_prefix: SecretsPrefix | None = Field(
        None,
        description="The ARN prefix of the secrets that environments may refer to; by default they may refer to none.",
    )
    allow_never: bool = Field(False, description="Whether a request may ask for an environment without an end.")

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        groups_by_member(self.groups)
        return self

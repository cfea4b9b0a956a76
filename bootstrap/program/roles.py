"""The four roles, each with its one policy from `policies`.

The rule: policies are inline, so that a role and its permissions are made, read and deleted together. An operator can add a
permissions boundary for all roles, and managed policies for the worker, as a changed template may need them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap.program import policies
from bootstrap.program.blueprint import Blueprint


@dataclass(frozen=True)
class Role:
    """A role and its policy. The policy is attached last, so what needs the role has to wait for the policy."""

    role: aws.iam.Role
    policy: aws.iam.RolePolicy

    @property
    def arn(self) -> pulumi.Output[str]:
        arn: pulumi.Output[str] = self.role.arn
        return arn


@dataclass(frozen=True)
class Roles:
    api: Role
    worker: Role
    schedule: Role
    access: Role


def roles(blueprint: Blueprint) -> Roles:
    """The roles of both functions, of the schedules, and the one with which App Runner pulls private images."""
    names, settings = blueprint.names, blueprint.settings
    functions = policies.trust("lambda.amazonaws.com")
    return Roles(
        api=_role(
            blueprint,
            names.api_function,
            "fibfactory's API: records, and asking for a worker",
            functions,
            policies.api_policy(names),
        ),
        worker=_role(
            blueprint,
            names.worker_function,
            "fibfactory's worker: environments, their state, their records",
            functions,
            policies.worker_policy(blueprint.foundations, settings),
            settings.worker_policies,
        ),
        schedule=_role(
            blueprint,
            names.schedule_role,
            "fibfactory's schedules: start the worker",
            policies.schedule_trust(names),
            policies.schedule_policy(names),
        ),
        access=_role(
            blueprint,
            names.access_role,
            "App Runner, to pull the images of environments",
            policies.trust("build.apprunner.amazonaws.com"),
            policies.access_policy(names),
        ),
    )


def _role(
    blueprint: Blueprint,
    name: str,
    description: str,
    trust: policies.Policy,
    policy: policies.Policy,
    managed: tuple[str, ...] = (),
) -> Role:
    role = aws.iam.Role(
        name,
        name=name,
        description=description,
        assume_role_policy=json.dumps(trust),
        permissions_boundary=blueprint.settings.permissions_boundary,
        opts=blueprint.opts,
    )
    attached = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{arn.partition('::')[2]}", role=role.name, policy_arn=arn, opts=blueprint.opts
        )
        for arn in managed
    ]
    inline = aws.iam.RolePolicy(
        name, name=name, role=role.name, policy=json.dumps(policy), opts=blueprint.after(*attached)
    )
    return Role(role, inline)

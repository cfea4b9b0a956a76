"""The four roles, each with the one policy that `policies` spells out.

The rule: policies are inline, so that a role and what it may do are made, read and deleted together. What an operator adds (a
boundary for all, managed policies for the worker, as a changed template may need) is only named here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap.foundations.foundations import Foundations
from bootstrap.names import Names
from bootstrap.program import policies
from bootstrap.settings import Settings


@dataclass(frozen=True)
class Role:
    """A role together with its policy, which comes last of all that it is given: what needs the role must wait for that."""

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


def roles(names: Names, foundations: Foundations, settings: Settings, opts: pulumi.ResourceOptions) -> Roles:
    """The roles of both functions, of the schedules, and the one by which App Runner pulls private images."""
    function = policies.trust("lambda.amazonaws.com")
    builder = policies.trust("build.apprunner.amazonaws.com")

    def role(
        name: str,
        description: str,
        trust: policies.Policy,
        policy: policies.Policy,
        managed: tuple[str, ...] = (),
    ) -> Role:
        return _role(name, description, trust, policy, managed, settings.permissions_boundary, opts)

    return Roles(
        api=role(
            names.api_function,
            "fibfactory's API: records, and asking for a worker",
            function,
            policies.api_policy(names),
        ),
        worker=role(
            names.worker_function,
            "fibfactory's worker: environments, their state, their records",
            function,
            policies.worker_policy(names, foundations, settings),
            settings.worker_policies,
        ),
        schedule=role(
            names.schedule_role,
            "fibfactory's schedules: start the worker",
            policies.schedule_trust(names),
            policies.schedule_policy(names),
        ),
        access=role(
            names.access_role,
            "App Runner, to pull the images of environments",
            builder,
            policies.access_policy(names),
        ),
    )


def _role(
    name: str,
    description: str,
    trust: policies.Policy,
    policy: policies.Policy,
    managed: tuple[str, ...],
    boundary: str | None,
    opts: pulumi.ResourceOptions,
) -> Role:
    role = aws.iam.Role(
        name,
        name=name,
        description=description,
        assume_role_policy=json.dumps(trust),
        permissions_boundary=boundary,
        opts=opts,
    )
    attached = [
        aws.iam.RolePolicyAttachment(f"{name}-{arn.partition('::')[2]}", role=role.name, policy_arn=arn, opts=opts)
        for arn in managed
    ]
    last = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=attached))
    return Role(role, aws.iam.RolePolicy(name, name=name, role=role.name, policy=json.dumps(policy), opts=last))

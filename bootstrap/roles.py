"""The four roles, each with the one policy that `policies` spells out.

The rule: policies are inline, so that a role and what it may do are made, read and deleted together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap import policies
from bootstrap.foundations import Foundations
from bootstrap.names import Names


@dataclass(frozen=True)
class Role:
    """A role together with its policy: what needs the role must wait for both."""

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


def roles(names: Names, foundations: Foundations, prefix: str, opts: pulumi.ResourceOptions) -> Roles:
    """The roles of both functions, of the schedules, and the one by which App Runner pulls private images."""
    function = policies.trust("lambda.amazonaws.com")
    builder = policies.trust("build.apprunner.amazonaws.com")
    return Roles(
        api=_role(
            names.api_function,
            "fibfactory's API: records, and asking for a worker",
            function,
            policies.api_policy(names),
            opts,
        ),
        worker=_role(
            names.worker_function,
            "fibfactory's worker: environments, their state, their records",
            function,
            policies.worker_policy(names, foundations, prefix),
            opts,
        ),
        schedule=_role(
            names.schedule_role,
            "fibfactory's schedules: start the worker",
            policies.schedule_trust(names),
            policies.schedule_policy(names),
            opts,
        ),
        access=_role(
            names.access_role,
            "App Runner, to pull the images of environments",
            builder,
            policies.access_policy(names),
            opts,
        ),
    )


def _role(
    name: str, description: str, trust: policies.Policy, policy: policies.Policy, opts: pulumi.ResourceOptions
) -> Role:
    role = aws.iam.Role(name, name=name, description=description, assume_role_policy=json.dumps(trust), opts=opts)
    return Role(role, aws.iam.RolePolicy(name, name=name, role=role.name, policy=json.dumps(policy), opts=opts))

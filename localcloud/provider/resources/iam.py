"""Roles of IAM and the policies on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource, Setting, names
from localcloud.provider.tags import Tagging

_GONE = ("NoSuchEntity", "NoSuchEntityException")


class Role(Resource):
    """`aws:iam/role:Role`; the id is the name."""

    tokens = ("aws:iam/role:Role",)
    supports = names("""
        assumeRolePolicy description forceDetachPolicies inlinePolicies managedPolicyArns maxSessionDuration name path
        permissionsBoundary
    """)
    replace_on = names("name path")
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"}
    unordered = names("inlinePolicies managedPolicyArns")
    kept = names("inlinePolicies managedPolicyArns")

    service = "iam"
    create_by, read_by = "CreateRole", "GetRole"
    identity = ("RoleName",)
    member = "Role"
    renamed: ClassVar[Mapping[str, str]] = {
        "assumeRolePolicy": "AssumeRolePolicyDocument",
        "name": "RoleName",
        "uniqueId": "RoleId",
    }
    empty: ClassVar[Mapping[str, Any]] = {"description": ""}
    settings = (
        Setting("assumeRolePolicy", "UpdateAssumeRolePolicy", renamed={"assumeRolePolicy": "PolicyDocument"}),
        Setting("description maxSessionDuration", "UpdateRole"),
        Setting("permissionsBoundary", "PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary"),
    )
    tagging = Tagging(by="name", put_by="TagRole", remove_by="UntagRole", list_by="ListRoleTags")
    gone = _GONE

    def create(self, op: Operation) -> None:
        """The role, then the policies that its own inputs name."""
        super().create(op)
        self._put_policies(op)

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """The role; its policies only as far as the role's own inputs manage them."""
        live, client = super().properties(op, found), self.client(op)
        live["permissionsBoundary"] = (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        if "managedPolicyArns" in op.inputs:
            live["managedPolicyArns"] = _attached(client, op.id)
        if "inlinePolicies" in op.inputs:
            live["inlinePolicies"] = [
                {
                    "name": name,
                    "policy": _text(client.get_role_policy(RoleName=op.id, PolicyName=name)["PolicyDocument"]),
                }
                for name in client.list_role_policies(RoleName=op.id)["PolicyNames"]
            ]
        return live

    def update(self, op: Operation) -> None:
        """Each part by its own call, as IAM has them."""
        super().update(op)
        if op.has_changed("inlinePolicies", "managedPolicyArns"):
            self._put_policies(op)

    def delete(self, op: Operation) -> None:
        """Its own policies first; others only when the program says so, else IAM's DeleteConflict is the answer."""
        client = self.client(op)
        if op.outputs.get("forceDetachPolicies") or op.outputs.get("managedPolicyArns"):
            for arn in _attached(client, op.id):
                client.detach_role_policy(RoleName=op.id, PolicyArn=arn)
        if op.outputs.get("forceDetachPolicies") or op.outputs.get("inlinePolicies"):
            for name in client.list_role_policies(RoleName=op.id)["PolicyNames"]:
                client.delete_role_policy(RoleName=op.id, PolicyName=name)
        client.delete_role(RoleName=op.id)

    def _put_policies(self, op: Operation) -> None:
        client = self.client(op)
        wanted = set(op.inputs.get("managedPolicyArns") or ())
        present = set(op.outputs.get("managedPolicyArns") or ())
        for arn in sorted(present - wanted):
            client.detach_role_policy(RoleName=op.id, PolicyArn=arn)
        for arn in sorted(wanted - present):
            client.attach_role_policy(RoleName=op.id, PolicyArn=arn)
        inline = {item["name"]: item["policy"] for item in op.inputs.get("inlinePolicies") or () if item.get("name")}
        for item in op.outputs.get("inlinePolicies") or ():
            if item.get("name") and item["name"] not in inline:
                client.delete_role_policy(RoleName=op.id, PolicyName=item["name"])
        for name, policy in inline.items():
            client.put_role_policy(RoleName=op.id, PolicyName=name, PolicyDocument=_text(policy))


class RolePolicy(Resource):
    """`aws:iam/rolePolicy:RolePolicy`; the id is `role:name`."""

    tokens = ("aws:iam/rolePolicy:RolePolicy",)
    supports = names("name policy role")
    replace_on = names("name role")
    auto_name = AutoName(longest=128)

    service = "iam"
    create_by, read_by, update_by, delete_by = "PutRolePolicy", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy"
    identity, separator = ("RoleName", "PolicyName"), ":"
    renamed: ClassVar[Mapping[str, str]] = {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"}
    updates_all = True
    gone = _GONE


class RolePolicyAttachment(Resource):
    """`aws:iam/rolePolicyAttachment:RolePolicyAttachment`; the id is `role/policy ARN`."""

    tokens = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",)
    supports = names("policyArn role")
    replace_on = supports

    service = "iam"
    create_by, delete_by = "AttachRolePolicy", "DetachRolePolicy"
    identity = ("RoleName", "PolicyArn")
    renamed: ClassVar[Mapping[str, str]] = {"role": "RoleName"}
    gone = _GONE

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Whether it is attached."""
        role, arn = self.key(op).values()
        return {"role": role, "policyArn": arn} if arn in _attached(self.client(op), role) else None


def _attached(client: Any, role: str) -> list[str]:
    return [item["PolicyArn"] for item in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)

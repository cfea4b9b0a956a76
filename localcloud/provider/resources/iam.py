"""Roles of IAM and the policies on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, Resource, Setting, names
from localcloud.provider.tags import Tagging

_GONE = ("NoSuchEntity", "NoSuchEntityException")


class Role(Resource):
    """`aws:iam/role:Role`; the id is the name. Its policies are resources of their own."""

    token = "aws:iam/role:Role"
    supports = names("assumeRolePolicy description maxSessionDuration name permissionsBoundary")
    replace_on = names("name")
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {"maxSessionDuration": 3600}

    service = "iam"
    create_by, read_by, delete_by = "CreateRole", "GetRole", "DeleteRole"
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

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the ARN out of the block about its boundary."""
        boundary = (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        return super().properties(op, found) | {"permissionsBoundary": boundary}


class RolePolicy(Resource):
    """`aws:iam/rolePolicy:RolePolicy`; the id is `role:name`."""

    token = "aws:iam/rolePolicy:RolePolicy"
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

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
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
        attached = self.client(op).list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {"role": role, "policyArn": arn} if any(each["PolicyArn"] == arn for each in attached) else None

"""Roles of IAM and the policies on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from localcloud.provider import tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource

_GONE = ("NoSuchEntity", "NoSuchEntityException")


class Role(Resource):
    """`aws:iam/role:Role`; the id is the name."""

    tokens = ("aws:iam/role:Role",)
    service = "iam"
    supports = frozenset(
        {
            "assumeRolePolicy",
            "description",
            "forceDetachPolicies",
            "inlinePolicies",
            "managedPolicyArns",
            "maxSessionDuration",
            "name",
            "path",
            "permissionsBoundary",
        }
    )
    replace_on = frozenset({"name", "path"})
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"}
    unordered = frozenset({"inlinePolicies", "managedPolicyArns"})
    kept = frozenset({"inlinePolicies", "managedPolicyArns"})
    taggable = True
    gone = _GONE

    def create(self, op: Operation) -> None:
        """The role, then the policies that its own inputs name."""
        given, client = op.inputs, self.client(op)
        request = {
            "RoleName": given["name"],
            "Path": given["path"],
            "AssumeRolePolicyDocument": _text(given["assumeRolePolicy"]),
            "MaxSessionDuration": given["maxSessionDuration"],
            "Tags": tags.as_list(op.all_tags),
        }
        if given.get("description"):
            request["Description"] = given["description"]
        if given.get("permissionsBoundary"):
            request["PermissionsBoundary"] = given["permissionsBoundary"]
        client.create_role(**request)
        op.made(given["name"])
        self._put_policies(op)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The role and its tags; its policies only as far as the role's own inputs manage them."""
        client = self.client(op)
        role = client.get_role(RoleName=op.id)["Role"]
        live = {
            "name": role["RoleName"],
            "arn": role["Arn"],
            "path": role["Path"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"],
            "assumeRolePolicy": _policy(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description", ""),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            "tagsAll": tags.as_map(client.list_role_tags(RoleName=op.id).get("Tags")),
        }
        if "managedPolicyArns" in op.inputs:
            live["managedPolicyArns"] = _attached(client, op.id)
        if "inlinePolicies" in op.inputs:
            live["inlinePolicies"] = [
                {
                    "name": name,
                    "policy": _policy(client.get_role_policy(RoleName=op.id, PolicyName=name)["PolicyDocument"]),
                }
                for name in client.list_role_policies(RoleName=op.id)["PolicyNames"]
            ]
        return live

    def update(self, op: Operation) -> None:
        """Each part by its own call, as IAM has them."""
        given, client = op.inputs, self.client(op)
        if op.has_changed("assumeRolePolicy"):
            client.update_assume_role_policy(RoleName=op.id, PolicyDocument=_text(given["assumeRolePolicy"]))
        if op.has_changed("description", "maxSessionDuration"):
            client.update_role(
                RoleName=op.id,
                Description=given.get("description", ""),
                MaxSessionDuration=given["maxSessionDuration"],
            )
        if op.has_changed("permissionsBoundary"):
            if given.get("permissionsBoundary"):
                client.put_role_permissions_boundary(RoleName=op.id, PermissionsBoundary=given["permissionsBoundary"])
            else:
                client.delete_role_permissions_boundary(RoleName=op.id)
        if op.has_changed("inlinePolicies", "managedPolicyArns"):
            self._put_policies(op)

    def delete(self, op: Operation) -> None:
        """Its own policies first; foreign ones only when the program says so, else IAM's DeleteConflict stands."""
        client = self.client(op)
        if op.outputs.get("forceDetachPolicies") or op.outputs.get("managedPolicyArns"):
            for arn in _attached(client, op.id):
                client.detach_role_policy(RoleName=op.id, PolicyArn=arn)
        if op.outputs.get("forceDetachPolicies") or op.outputs.get("inlinePolicies"):
            for name in client.list_role_policies(RoleName=op.id)["PolicyNames"]:
                client.delete_role_policy(RoleName=op.id, PolicyName=name)
        client.delete_role(RoleName=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the role's name."""
        client = self.client(op)
        if change.remove:
            client.untag_role(RoleName=op.id, TagKeys=change.remove)
        if change.put:
            client.tag_role(RoleName=op.id, Tags=tags.as_list(change.put))

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
    service = "iam"
    supports = frozenset({"name", "policy", "role"})
    replace_on = frozenset({"name", "role"})
    auto_name = AutoName(longest=128)
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Put it on the role."""
        self._put(op)
        op.made(f"{op.inputs['role']}:{op.inputs['name']}")

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The policy's text."""
        role, name = op.id.split(":", 1)
        answer = self.client(op).get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": _policy(answer["PolicyDocument"])}

    def update(self, op: Operation) -> None:
        """Put the new text."""
        self._put(op)

    def delete(self, op: Operation) -> None:
        """Take it off the role."""
        role, name = op.id.split(":", 1)
        self.client(op).delete_role_policy(RoleName=role, PolicyName=name)

    def _put(self, op: Operation) -> None:
        given = op.inputs
        self.client(op).put_role_policy(
            RoleName=given["role"], PolicyName=given["name"], PolicyDocument=_text(given["policy"])
        )


class RolePolicyAttachment(Resource):
    """`aws:iam/rolePolicyAttachment:RolePolicyAttachment`; the id is `role/policy ARN`."""

    tokens = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",)
    service = "iam"
    supports = frozenset({"policyArn", "role"})
    replace_on = frozenset({"policyArn", "role"})
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Attach the managed policy."""
        role, arn = op.inputs["role"], op.inputs["policyArn"]
        self.client(op).attach_role_policy(RoleName=role, PolicyArn=arn)
        op.made(f"{role}/{arn}")

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Whether it is attached."""
        role, arn = op.id.split("/", 1)
        if arn not in _attached(self.client(op), role):
            return None
        return {"role": role, "policyArn": arn}

    def delete(self, op: Operation) -> None:
        """Detach it."""
        role, arn = op.id.split("/", 1)
        self.client(op).detach_role_policy(RoleName=role, PolicyArn=arn)


def _attached(client: Any, role: str) -> list[str]:
    return [item["PolicyArn"] for item in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)


def _policy(document: Any) -> str:
    # botocore parses the URL-encoded documents of IAM only where its model says so.
    return unquote(document) if isinstance(document, str) else json.dumps(document)

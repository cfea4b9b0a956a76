"""Keys of KMS and their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import ListedResource, Resource, names
from localcloud.provider.tags import Tagging


class Key(Resource):
    """`aws:kms/key:Key`; the id is the key's."""

    tokens = ("aws:kms/key:Key",)
    supports = names("""
        customerMasterKeySpec deletionWindowInDays description enableKeyRotation isEnabled keyUsage multiRegion policy
    """)
    replace_on = names("customerMasterKeySpec keyUsage multiRegion")
    defaults: ClassVar[Mapping[str, Any]] = {
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "enableKeyRotation": False,
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
    }
    kept = names("description multiRegion policy")

    service = "kms"
    create_by, read_by = "CreateKey", "DescribeKey"
    identity = ("KeyId",)
    member = "KeyMetadata"
    renamed: ClassVar[Mapping[str, str]] = {"customerMasterKeySpec": "KeySpec", "isEnabled": "Enabled"}
    empty: ClassVar[Mapping[str, Any]] = {"description": "", "multiRegion": False}
    tagging = Tagging(by="keyId", list_by="ListResourceTags")
    gone = ("NotFoundException",)

    status_in = "KeyState"
    deleted = ("PendingDeletion", "PendingReplicaDeletion")

    def create(self, op: Operation) -> None:
        """The key, then its rotation and whether it is on."""
        super().create(op)
        if op.inputs["enableKeyRotation"]:
            self._put_rotation(op)
        if not op.inputs["isEnabled"]:
            self.client(op).disable_key(KeyId=op.id)

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With its rotation and its policy, which have questions of their own."""
        client = self.client(op)
        return super().properties(op, found) | {
            "enableKeyRotation": client.get_key_rotation_status(KeyId=op.id)["KeyRotationEnabled"],
            "policy": client.get_key_policy(KeyId=op.id, PolicyName="default")["Policy"],
        }

    def update(self, op: Operation) -> None:
        """Each setting by its own call; a key has to be on for the others."""
        given, client = op.inputs, self.client(op)
        if op.has_changed("isEnabled") and given["isEnabled"]:
            client.enable_key(KeyId=op.id)
        if op.has_changed("description"):
            client.update_key_description(KeyId=op.id, Description=given.get("description", ""))
        if op.has_changed("policy"):
            client.put_key_policy(KeyId=op.id, PolicyName="default", Policy=given["policy"])
        if op.has_changed("enableKeyRotation"):
            self._put_rotation(op)
        if op.has_changed("isEnabled") and not given["isEnabled"]:
            client.disable_key(KeyId=op.id)

    def delete(self, op: Operation) -> None:
        """Keys cannot be deleted at once, only scheduled to be."""
        days = op.outputs.get("deletionWindowInDays") or 30
        self.client(op).schedule_key_deletion(KeyId=op.id, PendingWindowInDays=days)

    def _put_rotation(self, op: Operation) -> None:
        on = op.inputs["enableKeyRotation"]
        self.call(op, "EnableKeyRotation" if on else "DisableKeyRotation", **self.key(op))


class Alias(ListedResource):
    """`aws:kms/alias:Alias`; the id is the name, `alias/` in front."""

    tokens = ("aws:kms/alias:Alias",)
    supports = names("name targetKeyId")
    replace_on = names("name")
    auto_name = AutoName(longest=256, prefix="alias/")

    service = "kms"
    create_by, read_by, update_by, delete_by = "CreateAlias", "ListAliases", "UpdateAlias", "DeleteAlias"
    identity = ("AliasName",)
    member = "Aliases"
    renamed: ClassVar[Mapping[str, str]] = {"name": "AliasName", "arn": "AliasArn"}
    gone = ("NotFoundException",)

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With its key as the program names it: by the id or the ARN."""
        key = self.client(op).describe_key(KeyId=found["TargetKeyId"])["KeyMetadata"]
        given = op.inputs.get("targetKeyId")
        return super().properties(op, found) | {
            "targetKeyId": given if given in (key["KeyId"], key["Arn"]) else key["KeyId"],
            "targetKeyArn": key["Arn"],
        }

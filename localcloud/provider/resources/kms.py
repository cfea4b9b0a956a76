"""Keys of KMS and their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import ListedResource, Resource, Setting, names
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
    settings = (
        # A key has to be on for the other changes.
        Setting("isEnabled", reset_by="EnableKey"),
        Setting("description", "UpdateKeyDescription"),
        Setting("policy", "PutKeyPolicy", more={"PolicyName": "default"}),
        Setting("enableKeyRotation", "EnableKeyRotation", "DisableKeyRotation", after_create=True),
        Setting("isEnabled", "DisableKey", "EnableKey", after_create=True),
    )
    tagging = Tagging(by="keyId", list_by="ListResourceTags")
    gone = ("NotFoundException",)

    status_in = "KeyState"
    deleted = ("PendingDeletion", "PendingReplicaDeletion")

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With its rotation and its policy, which have questions of their own."""
        client = self.client(op)
        return super().properties(op, found) | {
            "enableKeyRotation": client.get_key_rotation_status(KeyId=op.id)["KeyRotationEnabled"],
            "policy": client.get_key_policy(KeyId=op.id, PolicyName="default")["Policy"],
        }

    def delete(self, op: Operation) -> None:
        """Keys cannot be deleted at once, only scheduled to be."""
        days = op.outputs.get("deletionWindowInDays") or 30
        self.client(op).schedule_key_deletion(KeyId=op.id, PendingWindowInDays=days)


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

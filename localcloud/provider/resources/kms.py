"""Keys of KMS and their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import tags
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource

_GONE = ("NotFoundException",)


class Key(Resource):
    """`aws:kms/key:Key`; the id is the key's."""

    tokens = ("aws:kms/key:Key",)
    service = "kms"
    supports = frozenset(
        {
            "customerMasterKeySpec",
            "deletionWindowInDays",
            "description",
            "enableKeyRotation",
            "isEnabled",
            "keyUsage",
            "multiRegion",
            "policy",
        }
    )
    replace_on = frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"})
    defaults: ClassVar[Mapping[str, Any]] = {
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "enableKeyRotation": False,
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
    }
    kept = frozenset({"description", "multiRegion", "policy"})
    taggable = True
    gone = _GONE

    def create(self, op: Operation) -> None:
        """The key, then its rotation and whether it is on."""
        given, client = op.inputs, self.client(op)
        request = {
            "Description": given.get("description", ""),
            "KeySpec": given["customerMasterKeySpec"],
            "KeyUsage": given["keyUsage"],
            "Tags": tags.as_list(op.all_tags, "TagKey", "TagValue"),
        }
        request |= {"Policy": given["policy"]} if given.get("policy") else {}
        request |= {"MultiRegion": given["multiRegion"]} if "multiRegion" in given else {}
        op.made(client.create_key(**request)["KeyMetadata"]["KeyId"])
        if given["enableKeyRotation"]:
            client.enable_key_rotation(KeyId=op.id)
        if not given["isEnabled"]:
            client.disable_key(KeyId=op.id)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The key; one that waits for its deletion is gone."""
        client = self.client(op)
        key = client.describe_key(KeyId=op.id)["KeyMetadata"]
        if key.get("KeyState") in ("PendingDeletion", "PendingReplicaDeletion"):
            return None
        live = {
            "keyId": key["KeyId"],
            "arn": key["Arn"],
            "description": key.get("Description", ""),
            "isEnabled": key.get("Enabled", True),
            "keyUsage": key.get("KeyUsage"),
            "customerMasterKeySpec": key.get("KeySpec") or key.get("CustomerMasterKeySpec"),
            "multiRegion": key.get("MultiRegion", False),
            "enableKeyRotation": client.get_key_rotation_status(KeyId=op.id)["KeyRotationEnabled"],
            "policy": client.get_key_policy(KeyId=op.id, PolicyName="default")["Policy"],
            "tagsAll": tags.as_map(client.list_resource_tags(KeyId=op.id).get("Tags"), "TagKey", "TagValue"),
        }
        return live

    def update(self, op: Operation) -> None:
        """Each setting by its own call."""
        given, client = op.inputs, self.client(op)
        if op.has_changed("isEnabled") and given["isEnabled"]:
            client.enable_key(KeyId=op.id)
        if op.has_changed("description"):
            client.update_key_description(KeyId=op.id, Description=given.get("description", ""))
        if op.has_changed("policy"):
            client.put_key_policy(KeyId=op.id, PolicyName="default", Policy=given["policy"])
        if op.has_changed("enableKeyRotation"):
            (client.enable_key_rotation if given["enableKeyRotation"] else client.disable_key_rotation)(KeyId=op.id)
        if op.has_changed("isEnabled") and not given["isEnabled"]:
            client.disable_key(KeyId=op.id)

    def delete(self, op: Operation) -> None:
        """Keys cannot be deleted at once, only scheduled to be."""
        days = op.outputs.get("deletionWindowInDays") or 30
        self.client(op).schedule_key_deletion(KeyId=op.id, PendingWindowInDays=days)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the key's id."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(KeyId=op.id, TagKeys=change.remove)
        if change.put:
            client.tag_resource(KeyId=op.id, Tags=tags.as_list(change.put, "TagKey", "TagValue"))


class Alias(Resource):
    """`aws:kms/alias:Alias`; the id is the name, `alias/` in front."""

    tokens = ("aws:kms/alias:Alias",)
    service = "kms"
    supports = frozenset({"name", "targetKeyId"})
    replace_on = frozenset({"name"})
    auto_name = AutoName(longest=256, prefix="alias/")
    gone = _GONE

    def create(self, op: Operation) -> None:
        """Create it."""
        self.client(op).create_alias(AliasName=op.inputs["name"], TargetKeyId=op.inputs["targetKeyId"])
        op.made(op.inputs["name"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Found in the list, the only way there is."""
        client = self.client(op)
        for page in client.get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == op.id:
                    key = client.describe_key(KeyId=alias["TargetKeyId"])["KeyMetadata"]
                    given = op.inputs.get("targetKeyId")
                    return {
                        "name": op.id,
                        "arn": alias["AliasArn"],
                        # A program may name the key by its id or its ARN.
                        "targetKeyId": given if given in (key["KeyId"], key["Arn"]) else key["KeyId"],
                        "targetKeyArn": key["Arn"],
                    }
        return None

    def update(self, op: Operation) -> None:
        """Point it at another key."""
        self.client(op).update_alias(AliasName=op.id, TargetKeyId=op.inputs["targetKeyId"])

    def delete(self, op: Operation) -> None:
        """Delete it."""
        self.client(op).delete_alias(AliasName=op.id)

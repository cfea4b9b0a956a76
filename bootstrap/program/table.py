"""The table of environments: one record each, their events, and the sweeps' reports.

The rule: it is paid per request, so that it costs nothing while idle, and each index answers one question without reading the
whole table. Its data is kept nowhere else, so it can be restored to any second of the last 35 days.
"""

from __future__ import annotations

import pulumi_aws as aws

from bootstrap.program.blueprint import Blueprint

_TEXT_KEYS = ("pk", "sk", "owner", "status_created", "status", "created_at", "due_shard", "due_at")


def table(blueprint: Blueprint) -> aws.dynamodb.Table:
    """The table. If it is protected, DynamoDB refuses to delete it until the protection is lifted.

    The protection also prevents a replacement by Pulumi, which would have to delete the table first because its name is fixed.
    Pulumi's own `protect` would add nothing.
    """
    return aws.dynamodb.Table(
        "environments",
        name=blueprint.names.table,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key="sk",
        attributes=[aws.dynamodb.TableAttributeArgs(name=name, type="S") for name in _TEXT_KEYS],
        global_secondary_indexes=[
            _index("by_owner", "owner", "status_created", "ALL"),
            _index("by_status", "status", "created_at", "ALL"),
            # Sparse: only records that are due some day have the keys. Sharded, so that a busy minute is not one hot partition.
            _index("by_due", "due_shard", "due_at", "KEYS_ONLY"),
        ],
        deletion_protection_enabled=blueprint.settings.table_protected,
        point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
        # With AWS's own key for DynamoDB in this account: CloudTrail shows its use, and roles need no permission for it.
        server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True),
        opts=blueprint.opts,
    )


def _index(name: str, hash_key: str, range_key: str, projection: str) -> aws.dynamodb.TableGlobalSecondaryIndexArgs:
    key = aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs
    return aws.dynamodb.TableGlobalSecondaryIndexArgs(
        name=name,
        key_schemas=[key(attribute_name=hash_key, key_type="HASH"), key(attribute_name=range_key, key_type="RANGE")],
        projection_type=projection,
    )

"""The table of environments: one record each, their events, and the sweeps' reports.

The rule: it is paid per request, so that it costs nothing while idle; each index answers one question without reading
all that exists. What it holds is nowhere else, so it can be brought back to any second of the last 35 days.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from bootstrap.names import Names

_TEXT_KEYS = ("pk", "sk", "owner", "status_created", "status", "created_at", "due_shard", "due_at")


def table(names: Names, protected: bool, opts: pulumi.ResourceOptions) -> aws.dynamodb.Table:
    """The table; `protected` has DynamoDB refuse to delete it, by whomever, until that is lifted.

    That holds against a replacement by Pulumi, too, which would have to delete it first, as its name is fixed. Pulumi's
    own `protect` would add nothing to it.
    """
    return aws.dynamodb.Table(
        "environments",
        name=names.table,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key="sk",
        attributes=[aws.dynamodb.TableAttributeArgs(name=name, type="S") for name in _TEXT_KEYS],
        global_secondary_indexes=[
            _index("by_owner", "owner", "status_created", "ALL"),
            _index("by_status", "status", "created_at", "ALL"),
            # Sparse (only what is due some day has the keys), and sharded so that one busy minute is not one hot partition.
            _index("by_due", "due_shard", "due_at", "KEYS_ONLY"),
        ],
        deletion_protection_enabled=protected,
        point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
        # By AWS's own key for DynamoDB in this account, whose use CloudTrail shows; roles need no right to it.
        server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True),
        opts=opts,
    )


def _index(name: str, hash_key: str, range_key: str, projection: str) -> aws.dynamodb.TableGlobalSecondaryIndexArgs:
    key = aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs
    return aws.dynamodb.TableGlobalSecondaryIndexArgs(
        name=name,
        key_schemas=[key(attribute_name=hash_key, key_type="HASH"), key(attribute_name=range_key, key_type="RANGE")],
        projection_type=projection,
    )

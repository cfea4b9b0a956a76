"""Buckets of S3: the bucket and its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.provider import shapes
from localcloud.provider.errors import code_of
from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, Resource, names
from localcloud.provider.tags import TagChange, Tagging


class Bucket(Resource):
    """`aws:s3/bucket:Bucket`; the id is the name."""

    token = "aws:s3/bucket:Bucket"
    supports = names("bucket forceDestroy")
    replace_on = names("bucket")
    auto_name = AutoName(property="bucket", longest=63, lower=True)
    defaults: ClassVar[Mapping[str, Any]] = {"forceDestroy": False}

    service = "s3"
    tagging = Tagging()
    gone = ("NoSuchBucket", "404", "NotFound")

    def create(self, op: Operation) -> None:
        """The bucket, then its tags."""
        client, name = self.client(op), op.inputs["bucket"]
        request = {} if op.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": op.region}}
        client.create_bucket(Bucket=name, **request)
        op.id = name
        if op.all_tags:
            self._put_tags(op)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The bucket."""
        client = self.client(op)
        client.head_bucket(Bucket=op.id)
        try:
            tagged = client.get_bucket_tagging(Bucket=op.id)["TagSet"]
        except ClientError as exc:
            if code_of(exc) != "NoSuchTagSet":
                raise
            tagged = []
        return {
            "bucket": op.id,
            "arn": f"arn:aws:s3:::{op.id}",
            "bucketDomainName": f"{op.id}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{op.id}.s3.{op.region}.amazonaws.com",
            "bucketRegion": op.region,
            "tagsAll": shapes.as_map(tagged),
        }

    def delete(self, op: Operation) -> None:
        """Delete it, with what is in it when the program says so."""
        client = self.client(op)
        if op.outputs.get("forceDestroy"):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=op.id):
                for item in page.get("Contents", []):
                    client.delete_object(Bucket=op.id, Key=item["Key"])
        client.delete_bucket(Bucket=op.id)

    def change_tags(self, op: Operation, change: TagChange) -> None:
        """All of them: S3 replaces the whole set."""
        if op.all_tags:
            self._put_tags(op)
        else:
            self.client(op).delete_bucket_tagging(Bucket=op.id)

    def _put_tags(self, op: Operation) -> None:
        tagging = self.request(op, "PutBucketTagging", {"tagging": {"tagSet": op.all_tags}})
        self.client(op).put_bucket_tagging(Bucket=op.id, **tagging)

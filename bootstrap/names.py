"""The names of everything that belongs to a platform, and the ARNs that follow from them.

The rule: names follow from the platform's id and place alone, so that policies can be read (and tested) as plain data, and a
second deploy finds what the first one made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter

from orchestrator.domain.names import TAG_PLATFORM


class _Name:
    """A name that is composed of others: `"{platform}-api"`."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._parts = [part for _, part, _, _ in Formatter().parse(template) if part]

    def __get__(self, names: Names, _owner: type[Names]) -> str:
        return self._template.format_map({part: getattr(names, part) for part in self._parts})


@dataclass(frozen=True)
class Names:
    """A platform's names. `partition` is `aws`, or that of China or GovCloud."""

    platform: str
    partition: str
    region: str
    account: str

    state_bucket = _Name("{platform}-state-{account}-{region}")
    key_alias = _Name("alias/{platform}-state")
    table = _Name("{platform}-environments")
    api_function = _Name("{platform}-api")
    worker_function = _Name("{platform}-worker")
    schedule_role = _Name("{platform}-schedule")
    access_role = _Name("{platform}-apprunner-access")
    dead_letters = _Name("{platform}-dead-letters")
    alarms = _Name("{platform}-alarms")
    dashboard = _Name("{platform}")
    orchestrator_repository = _Name("{platform}/orchestrator")
    sample_repository = _Name("{platform}/fibservice")
    github_api = _Name("{platform}-github")
    nightly_schedule = _Name("{platform}-nightly")
    light_schedule = _Name("{platform}-light")
    # Below `vendedlogs` a log group does not count towards the size of a resource policy.
    access_log = _Name("/aws/vendedlogs/apis/{platform}")

    _place = _Name("{region}:{account}")
    state_bucket_arn = _Name("arn:{partition}:s3:::{state_bucket}")
    table_arn = _Name("arn:{partition}:dynamodb:{_place}:table/{table}")
    worker_arn = _Name("arn:{partition}:lambda:{_place}:function:{worker_function}")
    dead_letters_arn = _Name("arn:{partition}:sqs:{_place}:{dead_letters}")
    # Any repository of this account's private registry may hold an environment's image.
    repositories_arn = _Name("arn:{partition}:ecr:{_place}:repository/*")

    @property
    def registry(self) -> str:
        """The beginning of the names of all images in this account's private registry."""
        domain = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.account}.dkr.ecr.{self.region}.{domain}/"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that belongs to the platform."""
        return {TAG_PLATFORM: self.platform}

    @property
    def owned_bucket(self) -> dict[str, str]:
        """The state bucket, as arguments of S3's calls; with its owner, so that S3 refuses another account's bucket."""
        return {"Bucket": self.state_bucket, "ExpectedBucketOwner": self.account}

    def owns(self, tags: Mapping[str, str] | Iterable[Mapping[str, str]]) -> bool:
        """Whether something with these tags belongs to the platform; `tags` in either of AWS's shapes: a mapping, or a list of
        `{"Key": …, "Value": …}`."""
        found = tags if isinstance(tags, Mapping) else {tag["Key"]: tag["Value"] for tag in tags}
        return found.get(TAG_PLATFORM) == self.platform

    def log_group(self, function: str) -> str:
        """The log group to which Lambda writes a function's log."""
        return f"/aws/lambda/{function}"

    def log_group_arn(self, log_group: str) -> str:
        return self.arn("logs", f"log-group:{log_group}")

    def role_arn(self, role: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def services_arn(self, prefix: str) -> str:
        """A pattern for the App Runner services of environments: `service/NAME/ID`."""
        return self.arn("apprunner", f"service/{prefix}-*")

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self._place}:{resource}"

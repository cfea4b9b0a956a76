"""What everything of a platform is called, and the ARNs that follow from it.

The rule: names are derived from the platform's id and place alone, so that policies can be read (and tested) as plain data, and
so that a second deploy finds what the first one made.
"""

from __future__ import annotations

from dataclasses import dataclass

PLATFORM_TAG = "fibfactory:platform"


@dataclass(frozen=True)
class Names:
    """A platform's names. `partition` is `aws`, or that of China or GovCloud."""

    platform: str
    partition: str
    region: str
    account: str

    @property
    def tags(self) -> dict[str, str]:
        return {PLATFORM_TAG: self.platform}

    @property
    def state_bucket(self) -> str:
        return f"{self.platform}-state-{self.account}-{self.region}"

    @property
    def key_alias(self) -> str:
        return f"alias/{self.platform}-state"

    @property
    def table(self) -> str:
        return f"{self.platform}-environments"

    @property
    def api_function(self) -> str:
        return f"{self.platform}-api"

    @property
    def worker_function(self) -> str:
        return f"{self.platform}-worker"

    @property
    def schedule_role(self) -> str:
        return f"{self.platform}-schedule"

    @property
    def access_role(self) -> str:
        return f"{self.platform}-apprunner-access"

    @property
    def dead_letters(self) -> str:
        """The queue of what could not be delivered to the worker."""
        return f"{self.platform}-dead-letters"

    @property
    def alarms(self) -> str:
        """The topic that alarms are sent to."""
        return f"{self.platform}-alarms"

    @property
    def dashboard(self) -> str:
        return self.platform

    @property
    def orchestrator_repository(self) -> str:
        return f"{self.platform}/orchestrator"

    @property
    def sample_repository(self) -> str:
        return f"{self.platform}/fibservice"

    @property
    def github_api(self) -> str:
        return f"{self.platform}-github"

    @property
    def nightly_schedule(self) -> str:
        return f"{self.platform}-nightly"

    @property
    def light_schedule(self) -> str:
        return f"{self.platform}-light"

    @property
    def state_bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.state_bucket}"

    @property
    def table_arn(self) -> str:
        return self._arn("dynamodb", f"table/{self.table}")

    @property
    def worker_arn(self) -> str:
        return self._arn("lambda", f"function:{self.worker_function}")

    @property
    def dead_letters_arn(self) -> str:
        return self._arn("sqs", self.dead_letters)

    @property
    def alarms_arn(self) -> str:
        return self._arn("sns", self.alarms)

    @property
    def registry(self) -> str:
        """What the names of all images in this account's own registry begin with."""
        domain = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.account}.dkr.ecr.{self.region}.{domain}/"

    @property
    def access_log(self) -> str:
        """The log group of who called the APIs; below `vendedlogs` it counts towards no resource policy's size."""
        return f"/aws/vendedlogs/apis/{self.platform}"

    def log_group(self, function: str) -> str:
        """Where Lambda itself writes a function's log."""
        return f"/aws/lambda/{function}"

    def log_group_arn(self, function: str) -> str:
        return self._arn("logs", f"log-group:{self.log_group(function)}")

    def role_arn(self, role: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def services_arn(self, prefix: str) -> str:
        """A pattern for the App Runner services of environments: `service/NAME/ID`."""
        return self._arn("apprunner", f"service/{prefix}-*")

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

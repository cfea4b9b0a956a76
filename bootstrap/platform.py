"""The platform: what is made in the account, in order.

The rule: everything goes through one provider, with its region named and the platform's tag on all it makes; nothing is
taken from whatever the environment happens to say.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from bootstrap.foundations import Foundations
from bootstrap.functions import functions
from bootstrap.http_api import http_api
from bootstrap.roles import roles
from bootstrap.schedules import schedules
from bootstrap.settings import Settings
from bootstrap.table import table


def program(settings: Settings, foundations: Foundations) -> Callable[[], None]:
    """The Pulumi program of one platform, for the Automation API; its stack is called as the platform is."""

    def platform() -> None:
        names = foundations.names(settings.platform)
        provider = aws.Provider(
            "aws", region=settings.region, default_tags=aws.ProviderDefaultTagsArgs(tags=names.tags)
        )
        opts = pulumi.ResourceOptions(provider=provider)

        environments = table(names, settings.table_protected, opts)
        who = roles(names, foundations, settings.prefix, opts)
        code = functions(settings, names, foundations, who, opts)
        api = http_api(names, code.api, settings.requests_per_second, opts)
        schedules(settings, names, code.worker, who.schedule, opts)

        pulumi.export("api_url", api.api_endpoint)
        pulumi.export("api_id", api.id)
        pulumi.export("platform", settings.platform)
        pulumi.export("region", settings.region)
        pulumi.export("table_name", environments.name)
        pulumi.export("api_function", code.api.name)
        pulumi.export("worker_function", code.worker.name)
        pulumi.export("state_bucket", foundations.bucket)
        pulumi.export("secrets_provider", foundations.secrets_provider)
        pulumi.export("access_role_arn", who.access.arn)
        pulumi.export("nightly_schedule", names.nightly_schedule)
        pulumi.export("light_schedule", names.light_schedule)

    return platform

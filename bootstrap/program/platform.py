"""The platform: what is made in the account, in order.

The rule: everything goes through one provider, with its region named and the platform's tag on all it makes; nothing is
taken from whatever the environment happens to say.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from bootstrap.foundations.foundations import Foundations
from bootstrap.program.access_log import access_log
from bootstrap.program.alarms import alarms, topic
from bootstrap.program.dashboard import dashboard, url
from bootstrap.program.dead_letters import dead_letters
from bootstrap.program.functions import functions
from bootstrap.program.http_api import http_apis
from bootstrap.program.images import images
from bootstrap.program.roles import roles
from bootstrap.program.schedules import schedules
from bootstrap.program.table import table
from bootstrap.settings import Settings


def program(settings: Settings, foundations: Foundations) -> Callable[[], None]:
    """The Pulumi program of one platform, for the Automation API; its stack is called as the platform is."""

    def platform() -> None:
        names = foundations.names(settings.platform)
        provider = aws.Provider(
            "aws", region=settings.region, default_tags=aws.ProviderDefaultTagsArgs(tags=names.tags)
        )
        opts = pulumi.ResourceOptions(provider=provider)

        environments = table(names, settings.table_protected, opts)
        built = images(settings, names, opts)
        queue = dead_letters(names, opts)
        who = roles(names, foundations, settings, opts)
        code = functions(settings, names, foundations, who, built.orchestrator or settings.image_uri, queue, opts)
        log = access_log(names, settings.log_retention_days, opts)
        apis = http_apis(settings, names, code.api, log, opts)
        schedules(settings, names, code.worker, who.schedule, queue, opts)
        told = topic(names, settings.alarm_emails, opts)
        api_ids = {kind: api.id for kind, api in apis.all.items()}
        dashboard(names, api_ids, alarms(settings, names, api_ids, told, opts), opts)

        # What the platform was asked to be, for whoever upgrades it.
        pulumi.export("settings", settings.model_dump_json())
        pulumi.export("api_url", apis.iam.api_endpoint)
        pulumi.export("api_id", apis.iam.id)
        if apis.github:
            pulumi.export("github_api_url", apis.github.api_endpoint)
            pulumi.export("github_api_id", apis.github.id)
        pulumi.export("platform", settings.platform)
        pulumi.export("region", settings.region)
        pulumi.export("table_name", environments.name)
        pulumi.export("api_function", code.api.name)
        pulumi.export("worker_function", code.worker.name)
        pulumi.export("state_bucket", foundations.bucket)
        pulumi.export("secrets_provider", foundations.secrets_provider)
        pulumi.export("access_role_arn", who.access.arn)
        pulumi.export("orchestrator_repository", built.orchestrator_repository.repository_url)
        pulumi.export("sample_repository", built.sample_repository.repository_url)
        if built.orchestrator:
            pulumi.export("orchestrator_image", built.orchestrator)
        if built.sample:
            pulumi.export("sample_image", built.sample)
        pulumi.export("dead_letters_url", queue.url)
        pulumi.export("alarms_topic_arn", told.arn)
        pulumi.export("dashboard_url", url(names))
        pulumi.export("nightly_schedule", names.nightly_schedule)
        pulumi.export("light_schedule", names.light_schedule)

    return platform

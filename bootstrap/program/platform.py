"""The platform as a Pulumi program: what is made in the account, in order.

The rule: all resources are made by one provider with a named region and the platform's tag; nothing depends on the machine's
environment variables.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from bootstrap.foundations.lookup import Foundations
from bootstrap.program.access_log import access_log
from bootstrap.program.alarms import alarms, topic
from bootstrap.program.blueprint import Blueprint
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
    """The Pulumi program of one platform, for the Automation API; its stack has the platform's name."""

    def platform() -> None:
        names = foundations.names
        default_tags = aws.ProviderDefaultTagsArgs(tags=names.tags)
        provider = aws.Provider("aws", region=settings.region, default_tags=default_tags)
        blueprint = Blueprint(settings, foundations, pulumi.ResourceOptions(provider=provider))

        environments = table(blueprint)
        built = images(blueprint)
        queue = dead_letters(blueprint)
        all_roles = roles(blueprint)
        both = functions(blueprint, all_roles, built.orchestrator or settings.image_uri, queue)
        apis = http_apis(blueprint, both.api, access_log(blueprint))
        schedules(blueprint, both.worker, all_roles.schedule, queue)
        alarms_topic = topic(blueprint)
        api_ids = {kind: api.id for kind, api in apis.items()}
        dashboard(blueprint, api_ids, alarms(blueprint, api_ids, alarms_topic))

        outputs = {
            # The settings, for the next upgrade.
            "settings": settings.model_dump_json(),
            "api_url": apis["iam"].api_endpoint,
            "api_id": apis["iam"].id,
            "github_api_url": apis["github"].api_endpoint if "github" in apis else None,
            "github_api_id": api_ids.get("github"),
            "platform": settings.platform,
            "region": settings.region,
            "table_name": environments.name,
            "api_function": both.api.name,
            "worker_function": both.worker.name,
            "state_bucket": foundations.bucket,
            "secrets_provider": foundations.secrets_provider,
            "access_role_arn": all_roles.access.arn,
            "orchestrator_repository": built.orchestrator_repository.repository_url,
            "sample_repository": built.sample_repository.repository_url,
            "orchestrator_image": built.orchestrator,
            "sample_image": built.sample,
            "dead_letters_url": queue.url,
            "alarms_topic_arn": alarms_topic.arn,
            "dashboard_url": url(names),
            "nightly_schedule": names.nightly_schedule,
            "light_schedule": names.light_schedule,
        }
        for name, value in outputs.items():
            if value is not None:
                pulumi.export(name, value)

    return platform

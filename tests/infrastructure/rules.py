"""Rules for every platform, as a table over the resources that its program declares.

The rule of the rules: each finds what it forbids in a plan, has ways to break a good plan that it must find, and names its
exceptions with a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.program.policies import WHY_ANY
from bootstrap.program.schedules import interval
from localcloud.provider import schema
from orchestrator.settings import WorkerSettings
from tests.infrastructure.bootstrap_recorder import Asked, Plan

Inputs = dict[str, Any]
Find = Callable[[Plan], Iterator[str]]


@dataclass(frozen=True)
class Broken:
    """A plan without the protection of one resource."""

    resource: str
    plan: Plan


Break = Callable[[Plan], Iterator[Broken]]


@dataclass(frozen=True)
class Rule:
    """`find` returns Pulumi's names of the resources that break the rule; `breaks` are ways to remove the protection."""

    says: str
    find: Find
    breaks: tuple[Break, ...]
    exceptions: Mapping[str, str] = field(default_factory=dict)

    def broken(self, plan: Plan) -> list[str]:
        """Who breaks it, exceptions apart."""
        return sorted({name for name in self.find(plan) if name not in self.exceptions})


# What rules check.


def each(kind: str, holds: Callable[[Mapping[str, Any]], Any]) -> Find:
    """The resources of a kind whose inputs do not hold."""
    return lambda plan: (one.name for one in plan.of(kind) if not holds(one.inputs))


def each_statement(holds: Callable[[Mapping[str, Any]], Any], kind: str = "RolePolicy", text: str = "policy") -> Find:
    """The policies with a statement that does not hold."""
    return lambda plan: (
        one.name
        for one in plan.of(f":{kind}")
        for statement in json.loads(one.inputs[text])["Statement"]
        if not holds(statement)
    )


# How a good plan is broken: each way yields one plan for each resource that it can be applied to.


def change(kind: str, edit: Callable[[Inputs], object], where: Callable[[Asked], bool] = lambda one: True) -> Break:
    """Edit the inputs of each resource of a kind in turn."""

    def breaking(plan: Plan) -> Iterator[Broken]:
        for changed in filter(where, plan.of(kind)):
            inputs = deepcopy(dict(changed.inputs))
            edit(inputs)
            asked = tuple(replace(one, inputs=inputs) if one is changed else one for one in plan.asked)
            yield Broken(changed.name, Plan(asked))

    return breaking


def drop(kind: str, name: str) -> Break:
    """Remove one property of each resource of a kind in turn."""
    return change(kind, lambda inputs: inputs.pop(name))


def give(kind: str, **properties: Any) -> Break:
    """Give each resource of a kind other properties in turn."""
    return change(kind, lambda inputs: inputs.update(properties))


def without(kind: str) -> Break:
    """Remove each resource of a kind in turn."""
    return lambda plan: (
        Broken(gone.name, Plan(tuple(one for one in plan.asked if one is not gone))) for gone in plan.of(kind)
    )


def add(kind: str, name: str, **inputs: Any) -> Break:
    """Add a resource."""
    return lambda plan: iter([Broken(name, Plan((*plan.asked, Asked(kind, name, inputs, "::aws::aws-id"))))])


def restate(kind: str, text: str = "policy", **statement: Any) -> Break:
    """Change the first statement of each policy of a kind in turn."""

    def edit(inputs: Inputs) -> None:
        policy = json.loads(inputs[text])
        policy["Statement"][0] |= {"Sid": "Changed", **statement}
        inputs[text] = json.dumps(policy)

    return change(kind, edit)


# Shared by several rules.


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def taggable(asked: Asked) -> bool:
    """Whether a resource of this type can have tags, by Pulumi's schema."""
    return asked.type.startswith("aws:") and "tags" in schema.inputs_of(asked.type)


def missing(kind: str, wanted: Callable[[Plan], set[str]], found: Callable[[Mapping[str, Any]], str]) -> Find:
    """The wanted resources of a kind that are missing."""
    return lambda plan: iter(wanted(plan) - {found(one.inputs) for one in plan.of(kind)})


def function_names(plan: Plan) -> set[str]:
    return {one.inputs["name"] for one in plan.of("lambda/function:Function")}


def too_long(plan: Plan) -> Iterator[str]:
    for one in plan.asked:
        kind = one.type.rpartition(":")[2]
        name = one.inputs.get("name") or one.inputs.get("dashboardName")
        if name and kind in LONGEST and len(name) > LONGEST[kind]:
            yield one.name


def badly_timed(plan: Plan) -> Iterator[str]:
    """A graceful stop fits before the function's limit, and the lease ends after it; API Gateway gives up after 30 s."""
    defaults = WorkerSettings.model_fields
    stop, margin = (float(defaults[name].default) for name in ("stop_before_seconds", "lease_margin_seconds"))
    for one in plan.of("lambda/function:Function"):
        limit = float(one.inputs["timeout"])
        is_worker = one.name.endswith("-worker")
        if (is_worker and not 0 < stop < limit < limit + margin) or (not is_worker and limit >= 30) or limit > 900:
            yield one.name


def silent_schedules(plan: Plan) -> Iterator[str]:
    for one in plan.of("scheduler/schedule:Schedule"):
        target = one.inputs["target"]
        otherwise = 300 if json.loads(target["input"])["detail"]["sweep"] == "light" else 3600
        age = target.get("retryPolicy", {}).get("maximumEventAgeInSeconds", 86400)
        if not target.get("deadLetterConfig", {}).get("arn") or not (
            60 <= age <= interval(one.inputs["scheduleExpression"], otherwise)
        ):
            yield one.name


def incomplete_alarms(plan: Plan) -> Iterator[str]:
    for one in plan.of("metricAlarm:MetricAlarm"):
        given = one.inputs
        looks_back = given["period"] * given["evaluationPeriods"]
        in_reach = looks_back <= (7 * 86400 if given["period"] >= 3600 else 86400)
        breaches = "breaching" if given["metricName"] == "light_sweeps" else "notBreaching"
        tells = given.get("alarmActions") and given.get("alarmDescription")
        if not (tells and in_reach and given.get("treatMissingData") == breaches and given["period"] % 60 == 0):
            yield one.name


def unlogged_fields(plan: Plan) -> Iterator[str]:
    """What a stage's log would hold of a request's headers, query or token; nothing else is looked at."""
    for one in plan.of("apigatewayv2/stage:Stage"):
        written = one.inputs.get("accessLogSettings", {})
        if not written.get("destinationArn") or SECRETIVE.search(written.get("format", "")):
            yield one.name


LONGEST = {
    "Function": 64, "Role": 64, "RolePolicy": 128, "Table": 255, "Queue": 80, "Topic": 256, "MetricAlarm": 255,
    "Dashboard": 255, "Repository": 256, "Schedule": 64, "Api": 128, "LogGroup": 512, "Authorizer": 128,
}  # fmt: skip
"""AWS's limits of names, in characters."""

NO_TAGS = {
    "aws:apigatewayv2/authorizer:Authorizer": "a part of its API",
    "aws:apigatewayv2/integration:Integration": "a part of its API",
    "aws:apigatewayv2/route:Route": "a part of its API",
    "aws:cloudwatch/dashboard:Dashboard": "CloudWatch has no tags for them",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "a part of its repository",
    "aws:iam/rolePolicy:RolePolicy": "a part of its role",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "a part of its role",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": "a part of its function",
    "aws:lambda/permission:Permission": "a part of its function",
    "aws:scheduler/schedule:Schedule": "Scheduler tags groups of schedules only",
    "aws:sns/topicSubscription:TopicSubscription": "a part of its topic",
}
"""What takes no tags, and why that is no loss."""

SECRETIVE = re.compile(
    r"header|querystring|userAgent|token|rawQuery|body|cookie|authorizer\.(claims\.)?(sub|jti)\b|domainName",
    re.IGNORECASE,
)
SELF_MADE = "pulumi:providers:aws"

RULES = (
    # Data.
    Rule(
        "the table can be brought back to any second",
        each("dynamodb/table:Table", lambda i: i.get("pointInTimeRecovery", {}).get("enabled")),
        (
            drop("dynamodb/table:Table", "pointInTimeRecovery"),
            give("dynamodb/table:Table", pointInTimeRecovery={"enabled": False}),
        ),
    ),
    Rule(
        "the table refuses to be deleted",
        each("dynamodb/table:Table", lambda i: i.get("deletionProtectionEnabled")),
        (give("dynamodb/table:Table", deletionProtectionEnabled=False),),
    ),
    Rule(
        "the table is encrypted by a key whose use shows in CloudTrail",
        each("dynamodb/table:Table", lambda i: i.get("serverSideEncryption", {}).get("enabled")),
        (drop("dynamodb/table:Table", "serverSideEncryption"),),
    ),
    Rule(
        "the table costs nothing while idle",
        each("dynamodb/table:Table", lambda i: i.get("billingMode") == "PAY_PER_REQUEST"),
        (give("dynamodb/table:Table", billingMode="PROVISIONED"),),
    ),
    Rule(
        "queues are encrypted and keep a message long enough to be read",
        each(
            "sqs/queue:Queue",
            lambda i: i.get("sqsManagedSseEnabled") and i.get("messageRetentionSeconds", 0) >= 1209600,
        ),
        (drop("sqs/queue:Queue", "sqsManagedSseEnabled"), give("sqs/queue:Queue", messageRetentionSeconds=60)),
    ),
    Rule(
        "topics are encrypted by a key",
        each("sns/topic:Topic", lambda i: i.get("kmsMasterKeyId")),
        (add("aws:sns/topic:Topic", "another"),),
        {"alarms": "CloudWatch can't use AWS's own key for topics; alarms say nothing but their own text and a number"},
    ),
    Rule(
        "repositories are encrypted, and images are scanned when they are pushed",
        each(
            "ecr/repository:Repository",
            lambda i: i.get("encryptionConfigurations") and i.get("imageScanningConfiguration", {}).get("scanOnPush"),
        ),
        (
            drop("ecr/repository:Repository", "encryptionConfigurations"),
            drop("ecr/repository:Repository", "imageScanningConfiguration"),
        ),
    ),
    Rule(
        "an image's tag never moves",
        each("ecr/repository:Repository", lambda i: i.get("imageTagMutability") == "IMMUTABLE"),
        (give("ecr/repository:Repository", imageTagMutability="MUTABLE"),),
        {"sample": "a team's own pushes may move a tag, which an environment's `revision` then redeploys"},
    ),
    Rule(
        "repositories remove old images by themselves",
        lambda plan: iter(
            {one.name for one in plan.of("ecr/repository:Repository")}
            - {
                one.name
                for one in plan.of("ecr/lifecyclePolicy:LifecyclePolicy")
                if json.loads(one.inputs["policy"])["rules"]
            }
        ),
        (
            without("ecr/lifecyclePolicy:LifecyclePolicy"),
            give("ecr/lifecyclePolicy:LifecyclePolicy", policy='{"rules": []}'),
        ),
    ),
    Rule(
        "logs are kept for a while, not for ever",
        each("cloudwatch/logGroup:LogGroup", lambda i: 0 < i.get("retentionInDays", 0) <= 3653),
        (drop("cloudwatch/logGroup:LogGroup", "retentionInDays"),),
    ),
    Rule(
        "every function logs into a group that the platform made",
        missing(
            "cloudwatch/logGroup:LogGroup",
            lambda plan: {f"/aws/lambda/{name}" for name in function_names(plan)},
            lambda i: i["name"],
        ),
        (
            change(
                "cloudwatch/logGroup:LogGroup",
                lambda i: i.update(name="/aws/lambda/other"),
                lambda one: one.inputs["name"].startswith("/aws/lambda/"),
            ),
        ),
    ),
    # Access to the API.
    Rule(
        "no route answers without an authorizer",
        each(
            "apigatewayv2/route:Route",
            lambda i: (
                i.get("authorizationType") == "AWS_IAM"
                or (i.get("authorizationType") == "JWT" and i.get("authorizerId"))
            ),
        ),
        (
            give("apigatewayv2/route:Route", authorizationType="NONE"),
            give("apigatewayv2/route:Route", authorizationType="JWT", authorizerId=None),
            drop("apigatewayv2/route:Route", "authorizationType"),
        ),
    ),
    Rule(
        "every API has one route, so that no path can be forgotten",
        lambda plan: (one.name for one in plan.of("apigatewayv2/route:Route") if one.inputs["routeKey"] != "$default"),
        (give("apigatewayv2/route:Route", routeKey="GET /open"),),
    ),
    Rule(
        "tokens are checked for their issuer and audience",
        each(
            "apigatewayv2/authorizer:Authorizer",
            lambda i: (
                i["jwtConfiguration"].get("issuer", "").startswith("https://")
                and i["jwtConfiguration"].get("audiences")
            ),
        ),
        (
            add("aws:apigatewayv2/authorizer:Authorizer", "lax", jwtConfiguration={"issuer": "https://issuer.example"}),
            add(
                "aws:apigatewayv2/authorizer:Authorizer",
                "plain",
                jwtConfiguration={"issuer": "http://i", "audiences": ["a"]},
            ),
        ),
    ),
    Rule(
        "floods are slowed down",
        each("apigatewayv2/stage:Stage", lambda i: i.get("defaultRouteSettings", {}).get("throttlingRateLimit", 0) > 0),
        (drop("apigatewayv2/stage:Stage", "defaultRouteSettings"),),
    ),
    Rule(
        "requests are logged, without what they carry",
        unlogged_fields,
        (
            drop("apigatewayv2/stage:Stage", "accessLogSettings"),
            *(
                give(
                    "apigatewayv2/stage:Stage",
                    accessLogSettings={"destinationArn": "arn", "format": f"$context.{field}"},
                )
                for field in ("identity.userAgent", "request.header.authorization", "request.querystring.x")
            ),
        ),
    ),
    Rule(
        "functions are called by an API of the platform only, and by no other caller",
        each(
            "lambda/permission:Permission",
            lambda i: (
                i.get("principal") == "apigateway.amazonaws.com"
                and re.fullmatch(r"arn:aws:execute-api:.+-id/\*", i.get("sourceArn", ""))
            ),
        ),
        (
            drop("lambda/permission:Permission", "sourceArn"),
            give("lambda/permission:Permission", principal="*"),
            give("lambda/permission:Permission", sourceArn="*"),
        ),
    ),
    Rule(
        "nothing is public, and nothing has a policy of its own that lets others in",
        lambda plan: (
            one.name
            for one in plan.asked
            if one.type.endswith(("functionUrl:FunctionUrl", "repositoryPolicy:RepositoryPolicy", "Policy:TopicPolicy"))
            or ("RolePolicy" not in one.type and "LifecyclePolicy" not in one.type and "policy" in one.inputs)
        ),
        (
            add("aws:lambda/functionUrl:FunctionUrl", "url", authorizationType="NONE"),
            give("sqs/queue:Queue", policy='{"Statement": [{"Principal": "*"}]}'),
            add("aws:ecr/repositoryPolicy:RepositoryPolicy", "shared", policy="{}"),
        ),
    ),
    # Permissions.
    Rule(
        "no policy names an action by a pattern",
        each_statement(lambda s: "NotAction" not in s and not any("*" in action for action in as_list(s["Action"]))),
        (restate("iam/rolePolicy:RolePolicy", Action="*"), restate("iam/rolePolicy:RolePolicy", Action=["dynamodb:*"])),
    ),
    Rule(
        "no policy is about all resources without a reason",
        each_statement(lambda s: "NotResource" not in s and ("*" not in as_list(s["Resource"]) or s["Sid"] in WHY_ANY)),
        (restate("iam/rolePolicy:RolePolicy", Resource="*"), restate("iam/rolePolicy:RolePolicy", NotResource="arn")),
    ),
    Rule(
        "roles are for one service of AWS each",
        each_statement(
            lambda s: list(s["Principal"]) == ["Service"] and len(as_list(s["Principal"]["Service"])) == 1,
            "Role",
            "assumeRolePolicy",
        ),
        (
            restate("iam/role:Role", "assumeRolePolicy", Principal={"AWS": "*"}),
            restate(
                "iam/role:Role",
                "assumeRolePolicy",
                Principal={"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]},
            ),
        ),
    ),
    # Failures.
    Rule(
        "what can't be delivered to the worker becomes a dead letter, after two more tries",
        each(
            "functionEventInvokeConfig:FunctionEventInvokeConfig",
            lambda i: (
                i.get("destinationConfig", {}).get("onFailure", {}).get("destination")
                and i["maximumRetryAttempts"] == 2
            ),
        ),
        (drop("functionEventInvokeConfig:FunctionEventInvokeConfig", "destinationConfig"),),
    ),
    Rule(
        "the worker's asynchronous calls are configured",
        missing(
            "functionEventInvokeConfig:FunctionEventInvokeConfig",
            lambda plan: {name for name in function_names(plan) if name.endswith("-worker")},
            lambda i: i["functionName"],
        ),
        (without("functionEventInvokeConfig:FunctionEventInvokeConfig"),),
    ),
    Rule(
        "a schedule's event that stays undelivered until the next would come becomes a dead letter",
        silent_schedules,
        (
            change("scheduler/schedule:Schedule", lambda i: i["target"].pop("deadLetterConfig")),
            change("scheduler/schedule:Schedule", lambda i: i["target"].pop("retryPolicy")),
        ),
    ),
    Rule(
        "every call can be followed in X-Ray",
        each("lambda/function:Function", lambda i: i.get("tracingConfig", {}).get("mode") == "Active"),
        (drop("lambda/function:Function", "tracingConfig"),),
    ),
    Rule(
        "times fit: API Gateway waits for the API, the worker stops gracefully before its limit, and its lease ends after it",
        badly_timed,
        (give("lambda/function:Function", timeout=901), give("lambda/function:Function", timeout=60)),
    ),
    Rule(
        "a function's environment fits Lambda's 4 KB",
        each("lambda/function:Function", lambda i: len(json.dumps(i["environment"]["variables"])) < 4096),
        (give("lambda/function:Function", environment={"variables": {"LIST": "x" * 4096}}),),
    ),
    Rule(
        "every alarm has a description, an action, a rule for missing data, and looks back no further than CloudWatch can",
        incomplete_alarms,
        (
            drop("metricAlarm:MetricAlarm", "alarmActions"),
            drop("metricAlarm:MetricAlarm", "alarmDescription"),
            drop("metricAlarm:MetricAlarm", "treatMissingData"),
            give("metricAlarm:MetricAlarm", period=3600, evaluationPeriods=200),
        ),
    ),
    # Names and tags.
    Rule(
        "all that takes tags gets the platform's",
        lambda plan: (
            one.name
            for one in plan.asked
            if one.type == SELF_MADE
            and "fibfactory:platform" not in parsed(one.inputs.get("defaultTags", {})).get("tags", {})
        ),
        (drop(SELF_MADE, "defaultTags"), give(SELF_MADE, defaultTags={"tags": {"team": "platform"}})),
    ),
    Rule(
        "what takes no tags is known",
        lambda plan: (
            one.name
            for one in plan.asked
            if one.type.startswith("aws:") and not taggable(one) and one.type not in NO_TAGS
        ),
        (add("aws:sns/topicPolicy:TopicPolicy", "strange"),),
    ),
    Rule(
        "names are no longer than AWS takes",
        too_long,
        (give("lambda/function:Function", name="f" * 65), give("sqs/queue:Queue", name="q" * 81)),
    ),
)

"""docs/operator-policy.json is enough to deploy, upgrade and take down a platform, and for little else.

IAM is enforced on the local cloud. Where ministack asks about another resource than AWS does, the policy is AWS's, and what
ministack wants is added for the test: see ASKED_OTHERWISE.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from fibfactory_cli.client import Client
from localcloud.running import RunningCloud
from localcloud.settings import ROOT
from tests.e2e.story import LATEST
from tests.functional.bootstrap_operator import EVERYTHING, Operator, Ran, last_words, outputs_of, user_with

PLATFORM = "tried"
FOR_ANOTHER_ID = f"s/fibfactory/{PLATFORM}/g; s/{PLATFORM}:platform/fibfactory:platform/g"
"""How docs/permissions.md says the policy is made for a platform of another id."""
LARGEST_MANAGED_POLICY = 6144
"""Characters without blanks: AWS's quota."""
DOCS = (ROOT / "docs" / "permissions.md").read_text("utf-8")
TEXT = (ROOT / "docs" / "operator-policy.json").read_text("utf-8")
STATEMENTS: list[dict[str, Any]] = json.loads(TEXT)["Statement"]

_PLACE = "us-west-2:000000000000"
ASKED_OTHERWISE = {
    "cloudwatch:DeleteAlarms": f"arn:aws:cloudwatch:{_PLACE}:alarm:{PLATFORM}-overdue",
    "cloudwatch:ListTagsForResource": f"arn:aws:cloudwatch:{_PLACE}:alarm:{PLATFORM}-overdue",
    "cloudwatch:DeleteDashboards": f"arn:aws:cloudwatch::000000000000:dashboard/{PLATFORM}",
    "cloudwatch:GetDashboard": f"arn:aws:cloudwatch::000000000000:dashboard/{PLATFORM}",
    "cloudwatch:PutDashboard": f"arn:aws:cloudwatch::000000000000:dashboard/{PLATFORM}",
    "dynamodb:ListTagsOfResource": f"arn:aws:dynamodb:{_PLACE}:table/{PLATFORM}-environments",
    "ecr:DescribeRepositories": f"arn:aws:ecr:{_PLACE}:repository/{PLATFORM}/orchestrator",
    "ecr:ListTagsForResource": f"arn:aws:ecr:{_PLACE}:repository/{PLATFORM}/orchestrator",
    "kms:CreateAlias": f"arn:aws:kms:{_PLACE}:alias/{PLATFORM}-state",
    "kms:DeleteAlias": f"arn:aws:kms:{_PLACE}:alias/{PLATFORM}-state",
    "lambda:CreateFunction": f"arn:aws:lambda:{_PLACE}:function:{PLATFORM}-worker",
    "sns:GetSubscriptionAttributes": f"arn:aws:sns:{_PLACE}:{PLATFORM}-alarms",
    "sns:ListTagsForResource": f"arn:aws:sns:{_PLACE}:{PLATFORM}-alarms",
    "sns:Unsubscribe": f"arn:aws:sns:{_PLACE}:{PLATFORM}-alarms",
}
"""What ministack asks about `*`, and what AWS asks about instead. The user of these tests may do it on `*`, too."""
OTHERWISE = {"Sid": "Otherwise", "Effect": "Allow", "Action": list(ASKED_OTHERWISE), "Resource": "*"}

_ROLE = f"arn:aws:iam::000000000000:role/{PLATFORM}"
_KEY = f"arn:aws:kms:{_PLACE}:key/0"
_BUCKET = f"arn:aws:s3:::{PLATFORM}-state-000000000000-us-west-2"
_WORKER = f"arn:aws:lambda:{_PLACE}:function:{PLATFORM}-worker"
_REPOSITORY = f"arn:aws:ecr:{_PLACE}:repository/{PLATFORM}/orchestrator"
NOT_ASKED: list[tuple[str, str, dict[str, str]]] = [
    ("iam:PassRole", f"{_ROLE}-api", {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:PassRole", f"{_ROLE}-worker", {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:PassRole", f"{_ROLE}-schedule", {"iam:PassedToService": "scheduler.amazonaws.com"}),
    ("iam:TagRole", f"{_ROLE}-worker", {}),
    ("iam:PutRolePermissionsBoundary", f"{_ROLE}-worker", {}),
    ("iam:ListInstanceProfilesForRole", f"{_ROLE}-worker", {}),
    ("kms:TagResource", _KEY, {"aws:RequestTag/fibfactory:platform": PLATFORM}),
    ("kms:CreateAlias", _KEY, {"aws:ResourceTag/fibfactory:platform": PLATFORM}),
    ("kms:GenerateDataKey", _KEY, {"aws:ResourceTag/fibfactory:platform": PLATFORM}),
    ("s3:PutBucketOwnershipControls", _BUCKET, {}),
    ("s3:PutBucketPolicy", _BUCKET, {}),
    ("lambda:PutFunctionEventInvokeConfig", _WORKER, {}),
    ("lambda:PutFunctionConcurrency", _WORKER, {}),
    ("dynamodb:TagResource", f"arn:aws:dynamodb:{_PLACE}:table/{PLATFORM}-environments", {}),
    ("logs:CreateLogDelivery", "*", {}),
    ("logs:DeleteLogDelivery", "*", {}),
    ("logs:PutResourcePolicy", "*", {}),
    ("logs:TagResource", f"arn:aws:logs:{_PLACE}:log-group:/aws/vendedlogs/apis/{PLATFORM}", {}),
    ("ecr:GetAuthorizationToken", "*", {}),
    ("ecr:PutImage", _REPOSITORY, {}),
    ("ecr:UploadLayerPart", _REPOSITORY, {}),
    # Lambda lets itself in to pull the image, in the name of whoever makes the function.
    ("ecr:SetRepositoryPolicy", _REPOSITORY, {}),
    ("apigateway:TagResource", "arn:aws:apigateway:us-west-2::/apis/0", {}),
    ("cloudwatch:TagResource", f"arn:aws:cloudwatch:{_PLACE}:alarm:{PLATFORM}-overdue", {}),
]
"""What AWS asks about as well and ministack does not: on these resources, under these condition keys."""

SETTINGS = """
groups = { blue = ["arn:aws:iam::000000000000:role/blue"] }
github_audience = "fibfactory"
github_issuer = "https://tokens.example"
alarm_emails = ["operator@example.org"]
permissions_boundary = "arn:aws:iam::000000000000:policy/boundary"
worker_policies = ["arn:aws:iam::aws:policy/AmazonSQSFullAccess"]

[[github]]
repository_owner_id = "1"
"""


@pytest.fixture(scope="module")
def policy() -> dict[str, Any]:
    """The policy for this platform, made as the guide says."""
    made = subprocess.run(["sed", FOR_ANOTHER_ID], input=TEXT, capture_output=True, text=True, check=True).stdout
    document: dict[str, Any] = json.loads(made)
    return document


@pytest.fixture(scope="module")
def keys(operator_session: boto3.Session, policy: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The keys of a user who has this policy, and no other but what ministack wants beside it."""
    iam = operator_session.client("iam")
    everything = json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]})
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=everything)["Policy"]["Arn"]
    keys = user_with(operator_session, "deployer", OTHERWISE)
    arn = iam.create_policy(PolicyName="deployer", PolicyDocument=json.dumps(policy))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="deployer", PolicyArn=arn)
    yield keys
    iam.detach_user_policy(UserName="deployer", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    iam.delete_policy(PolicyArn=boundary)
    iam.delete_user_policy(UserName="deployer", PolicyName="deployer")
    iam.delete_access_key(UserName="deployer", AccessKeyId=keys["AWS_ACCESS_KEY_ID"])
    iam.delete_user(UserName="deployer")


@pytest.fixture(scope="module")
def deployer(cloud: RunningCloud, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Operator:
    deployer = Operator(cloud, tmp_path_factory.mktemp("deployer"))
    deployer.environment |= keys
    return deployer


@pytest.fixture(scope="module")
def session(cloud: RunningCloud, keys: dict[str, str]) -> boto3.Session:
    return boto3.Session(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=cloud.region)


def test_it_deploys_upgrades_and_destroys_a_platform_with_environments(
    cloud: RunningCloud, deployer: Operator, operator_session: boto3.Session
) -> None:
    settings = deployer.folder / "settings.toml"
    settings.write_text(SETTINGS)
    own = f"arn:aws:iam::{cloud.account}:user/deployer"
    made = deployer.deploys(PLATFORM, "--operator", own, "--settings", str(settings))
    api = outputs_of(made)["api_url"]
    worker = operator_session.client("iam").get_role(RoleName=f"{PLATFORM}-worker")["Role"]
    assert worker["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/boundary")
    changed = deployer.runs(
        *("upgrade", "--platform", PLATFORM, "--code", "archive", "--default-ttl", "3h"),
        *(
            "--unset",
            "worker_policies",
            "--unset",
            "alarm_emails",
            "--unset",
            "permissions_boundary",
            "--unset",
            "github_audience",
            "--unset",
            "github",
        ),
        "--yes",
    )
    assert changed.code == 0, changed.said
    asked = Client(api, operator_session).call("PUT", "/environments/left1", {"image": LATEST})
    assert asked.checked().status == 202
    gone = deployer.runs("destroy", "--platform", PLATFORM, "--environments", "--purge", "--yes")
    assert gone.code == 0, gone.said
    assert f"removed the bucket {PLATFORM}-state" in gone.said


def test_what_ministack_asks_otherwise_or_not_at_all_is_allowed_as_aws_asks_it(policy: dict[str, Any]) -> None:
    asked = [*((action, resource, {}) for action, resource in ASKED_OTHERWISE.items()), *NOT_ASKED]
    assert [each for each in asked if not allows(policy, *each)] == []


@pytest.mark.parametrize("sid", ["MakeTheKey", "StateBucket", "LookForServices"])
def test_without_one_of_its_statements_a_deploy_is_refused(
    operator_session: boto3.Session, deployer: Operator, policy: dict[str, Any], sid: str
) -> None:
    keys = user_with(
        operator_session, f"lacks-{sid}", OTHERWISE, *(each for each in policy["Statement"] if each["Sid"] != sid)
    )
    refused = deployer.runs("deploy", "--platform", PLATFORM, "--code", "archive", "--yes", environment=keys)
    assert "AccessDenied" in words(refused)


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("dynamodb", "describe_table", {"TableName": "fibfactory-environments"}),
        ("lambda", "delete_function", {"FunctionName": "fibfactory-worker"}),
        ("iam", "create_user", {"UserName": "mallory"}),
        ("iam", "put_role_policy", {"RoleName": "other", "PolicyName": "x", "PolicyDocument": "{}"}),
        ("s3", "list_buckets", {}),
        ("s3", "delete_bucket", {"Bucket": "fibfactory-state-000000000000-us-west-2"}),
        ("kms", "create_key", {}),
        ("sqs", "create_queue", {"QueueName": "other"}),
        ("ecr", "delete_repository", {"repositoryName": "fibfactory/orchestrator"}),
        ("logs", "delete_log_group", {"logGroupName": "/aws/lambda/fibfactory-api"}),
        ("apprunner", "delete_service", {"ServiceArn": "arn:aws:apprunner:us-west-2:000000000000:service/fib-app-a/0"}),
    ],
)
def test_it_allows_nothing_beside_the_platform(
    cloud: RunningCloud, session: boto3.Session, service: str, call: str, arguments: dict[str, Any]
) -> None:
    where = cloud.apprunner_url if service == "apprunner" else cloud.endpoint_url
    with pytest.raises(ClientError) as refusal:
        getattr(session.client(service, endpoint_url=where), call)(**arguments)
    assert refusal.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


def test_it_fits_a_managed_policy() -> None:
    assert len("".join(TEXT.split())) < LARGEST_MANAGED_POLICY


def test_the_guide_explains_every_statement_and_how_it_is_made_for_another_platform() -> None:
    assert [each["Sid"] for each in STATEMENTS if f"`{each['Sid']}`" not in DOCS] == []
    assert FOR_ANOTHER_ID.replace(PLATFORM, "ID") in DOCS


def test_every_role_it_can_make_is_one_of_the_platforms() -> None:
    (roles,) = (each["Resource"] for each in STATEMENTS if each["Sid"] == "Roles")
    assert [each.rpartition("/")[2] for each in roles] == [
        "fibfactory-api",
        "fibfactory-worker",
        "fibfactory-schedule",
        "fibfactory-apprunner-access",
    ]


def allows(policy: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    """What IAM would say, by ministack's evaluation."""
    request = EvalContext(
        principal_arn="arn:aws:iam::000000000000:user/deployer",
        principal_type="User",
        principal_account="000000000000",
        action=action,
        resource_arn=resource,
        region="us-west-2",
        service_context={name.lower(): value for name, value in context.items()},
    )
    return bool(evaluate(request, [parse_policy_document(policy)]).decision == "Allow")


def words(ran: Ran) -> str:
    return " ".join(last_words(ran).split())

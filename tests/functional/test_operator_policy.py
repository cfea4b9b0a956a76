"""docs/operator-policy.json allows an operator to upgrade and take down a platform, and little else.

A first deploy also needs docs/operator-policy-first-deploy.json, for a key whose id is not known yet.

IAM is enforced on the local cloud. Where ministack asks about another resource than AWS does, the policy is AWS's, and what
ministack wants is added for the test: see ASKED_OTHERWISE.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
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
FIRST_TEXT = (ROOT / "docs" / "operator-policy-first-deploy.json").read_text("utf-8")
STATEMENTS: list[dict[str, Any]] = json.loads(TEXT)["Statement"]
FIRST_STATEMENTS: list[dict[str, Any]] = json.loads(FIRST_TEXT)["Statement"]

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
    "sns:ListTagsForResource": f"arn:aws:sns:{_PLACE}:{PLATFORM}-alarms",
}
"""What ministack asks about `*`, and what AWS asks about instead. The user of these tests may do it on `*`, too."""
OTHERWISE = {"Sid": "Otherwise", "Effect": "Allow", "Action": list(ASKED_OTHERWISE), "Resource": "*"}

_ROLE = f"arn:aws:iam::000000000000:role/{PLATFORM}"
_KEY_ID = "11111111-2222-3333-4444-555555555555"
_KEY = f"arn:aws:kms:{_PLACE}:key/{_KEY_ID}"
_FOREIGN_KEY = f"arn:aws:kms:{_PLACE}:key/99999999-2222-3333-4444-555555555555"
_TAGGED = {"aws:ResourceTag/fibfactory:platform": PLATFORM}
_TAGGING = {"aws:RequestTag/fibfactory:platform": PLATFORM}
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
    ("kms:DeleteAlias", _KEY, {}),
    ("kms:GenerateDataKey", _KEY, {}),
    ("kms:TagResource", _KEY, _TAGGING),
    ("s3:PutBucketOwnershipControls", _BUCKET, {}),
    ("s3:PutBucketPolicy", _BUCKET, {}),
    ("lambda:PutFunctionEventInvokeConfig", _WORKER, {}),
    ("lambda:PutFunctionConcurrency", _WORKER, {}),
    ("lambda:GetFunction", f"{_WORKER}:$LATEST", {}),
    ("dynamodb:TagResource", f"arn:aws:dynamodb:{_PLACE}:table/{PLATFORM}-environments", {}),
    ("logs:CreateLogDelivery", "*", {}),
    ("logs:DeleteLogDelivery", "*", {}),
    ("logs:PutResourcePolicy", "*", {}),
    ("logs:TagResource", f"arn:aws:logs:{_PLACE}:log-group:/aws/vendedlogs/apis/{PLATFORM}", {}),
    ("ecr:GetAuthorizationToken", "*", {}),
    ("ecr:PutImage", _REPOSITORY, {}),
    ("ecr:UploadLayerPart", _REPOSITORY, {}),
    # Lambda gives itself access to the image, with the permissions of the user who creates the function.
    ("ecr:SetRepositoryPolicy", _REPOSITORY, {}),
    ("apigateway:TagResource", "arn:aws:apigateway:us-west-2::/apis/0", {}),
    ("cloudwatch:TagResource", f"arn:aws:cloudwatch:{_PLACE}:alarm:{PLATFORM}-overdue", {}),
    # IAM has no resource type for subscriptions.
    ("sns:SetSubscriptionAttributes", "*", {}),
]
"""What AWS asks about as well and ministack does not: on these resources, under these condition keys."""
NOT_ASKED_AT_FIRST: list[tuple[str, str, dict[str, str]]] = [
    ("kms:TagResource", _KEY, _TAGGING),
    ("kms:CreateAlias", _KEY, _TAGGED),
    ("kms:GenerateDataKey", _KEY, _TAGGED),
]
"""The same of a first deploy, whose key is known by its tag alone."""

_BOUNDARY = "arn:aws:iam::000000000000:policy/boundary"
_BOUNDED = {"iam:PermissionsBoundary": _BOUNDARY}
_CHOSEN, _NOT_CHOSEN = (f"arn:aws:iam::aws:policy/{each}" for each in ("AmazonSQSFullAccess", "AdministratorAccess"))
ASKED_UNDER_A_BOUNDARY: list[tuple[str, str, dict[str, str]]] = [
    ("iam:CreateRole", f"{_ROLE}-worker", _BOUNDED),
    ("iam:PutRolePermissionsBoundary", f"{_ROLE}-worker", _BOUNDED),
    ("iam:PutRolePolicy", f"{_ROLE}-worker", _BOUNDED),
    ("iam:AttachRolePolicy", f"{_ROLE}-worker", {**_BOUNDED, "iam:PolicyARN": _CHOSEN}),
    # Neither adds permissions to a role.
    ("iam:DetachRolePolicy", f"{_ROLE}-worker", {**_BOUNDED, "iam:PolicyARN": _CHOSEN}),
    ("iam:DeleteRolePolicy", f"{_ROLE}-worker", _BOUNDED),
    ("iam:GetRole", f"{_ROLE}-worker", {}),
    ("iam:DeleteRole", f"{_ROLE}-worker", {}),
]
REFUSED_UNDER_A_BOUNDARY: list[tuple[str, str, dict[str, str]]] = [
    *(
        (f"iam:{action}", f"{_ROLE}-worker", context)
        for action in ("CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy", "AttachRolePolicy")
        for context in ({}, {"iam:PermissionsBoundary": "arn:aws:iam::000000000000:policy/wide"})
    ),
    ("iam:DeleteRolePermissionsBoundary", f"{_ROLE}-worker", {}),
    ("iam:DeleteRolePermissionsBoundary", f"{_ROLE}-worker", _BOUNDED),
    ("iam:AttachRolePolicy", f"{_ROLE}-worker", {**_BOUNDED, "iam:PolicyARN": _NOT_CHOSEN}),
    ("iam:CreatePolicyVersion", _BOUNDARY, {}),
]
"""What AWS asks about when the operator is limited as docs/permissions.md says: `iam:PermissionsBoundary` is the boundary which
the role has, or is to get."""

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
    """The policy for this platform, made as the guide says, with the key's id."""
    return made_for_this_platform(TEXT.replace("KEY-ID", _KEY_ID))


@pytest.fixture(scope="module")
def first_policy() -> dict[str, Any]:
    """The policy that a first deploy also needs."""
    return made_for_this_platform(FIRST_TEXT)


def made_for_this_platform(text: str) -> dict[str, Any]:
    made = subprocess.run(["sed", FOR_ANOTHER_ID], input=text, capture_output=True, text=True, check=True).stdout
    document: dict[str, Any] = json.loads(made)
    return document


@dataclass(frozen=True)
class Policies:
    """The managed policies of the user who deploys."""

    session: boto3.Session

    def before_the_first_deploy(self, first_policy: dict[str, Any]) -> None:
        """Both, made as the guide says: nobody knows the key's id yet."""
        self._attach("operator-policy", made_for_this_platform(TEXT))
        self._attach("operator-policy-first-deploy", first_policy)

    def after_it(self) -> None:
        """The lasting one alone, with the key's id in it."""
        key = self.session.client("kms").describe_key(KeyId=f"alias/{PLATFORM}-state")["KeyMetadata"]["KeyId"]
        self._remove("operator-policy-first-deploy")
        self.session.client("iam").create_policy_version(
            PolicyArn=_policy_arn("operator-policy"),
            PolicyDocument=json.dumps(made_for_this_platform(TEXT.replace("KEY-ID", key))),
            SetAsDefault=True,
        )

    def remove_all(self) -> None:
        iam = self.session.client("iam")
        for each in iam.list_attached_user_policies(UserName="deployer")["AttachedPolicies"]:
            self._remove(each["PolicyName"])

    def _attach(self, name: str, document: dict[str, Any]) -> None:
        iam = self.session.client("iam")
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName="deployer", PolicyArn=_policy_arn(name))

    def _remove(self, name: str) -> None:
        iam, arn = self.session.client("iam"), _policy_arn(name)
        iam.detach_user_policy(UserName="deployer", PolicyArn=arn)
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)


def _policy_arn(name: str) -> str:
    return f"arn:aws:iam::000000000000:policy/{name}"


@pytest.fixture(scope="module")
def keys(operator_session: boto3.Session) -> Iterator[dict[str, str]]:
    """The access key of a user with the permissions that only ministack requires, until the policies are attached."""
    iam = operator_session.client("iam")
    everything = json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]})
    iam.create_policy(PolicyName="boundary", PolicyDocument=everything)
    yield user_with(operator_session, "deployer", OTHERWISE)
    iam.delete_policy(PolicyArn=_BOUNDARY)
    iam.delete_user_policy(UserName="deployer", PolicyName="deployer")
    for key in iam.list_access_keys(UserName="deployer")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="deployer", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="deployer")


@pytest.fixture(scope="module")
def policies(operator_session: boto3.Session, keys: dict[str, str], first_policy: dict[str, Any]) -> Iterator[Policies]:
    """The access key of a user who is about to deploy for the first time."""
    policies = Policies(operator_session)
    policies.before_the_first_deploy(first_policy)
    yield policies
    policies.remove_all()


@pytest.fixture(scope="module")
def deployer(cloud: RunningCloud, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Operator:
    deployer = Operator(cloud, tmp_path_factory.mktemp("deployer"))
    deployer.environment |= keys
    return deployer


@pytest.fixture(scope="module")
def session(cloud: RunningCloud, keys: dict[str, str], policies: Policies) -> boto3.Session:
    return boto3.Session(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=cloud.region)


def test_both_policies_deploy_and_the_lasting_one_upgrades_and_destroys(
    cloud: RunningCloud, deployer: Operator, operator_session: boto3.Session, policies: Policies
) -> None:
    settings = deployer.folder / "settings.toml"
    settings.write_text(SETTINGS)
    own = f"arn:aws:iam::{cloud.account}:user/deployer"
    made = deployer.deploys(PLATFORM, "--operator", own, "--settings", str(settings))
    api = outputs_of(made)["api_url"]
    worker = operator_session.client("iam").get_role(RoleName=f"{PLATFORM}-worker")["Role"]
    assert worker["PermissionsBoundary"]["PermissionsBoundaryArn"] == _BOUNDARY
    policies.after_it()
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


def test_permissions_that_only_aws_checks_are_allowed(policy: dict[str, Any], first_policy: dict[str, Any]) -> None:
    asked = [*((action, resource, {}) for action, resource in ASKED_OTHERWISE.items()), *NOT_ASKED]
    assert [each for each in asked if not allows(policy, *each)] == []
    assert [each for each in NOT_ASKED_AT_FIRST if not allows(first_policy, *each)] == []


@pytest.mark.parametrize("action", ["TagResource", "CreateAlias", "Decrypt", "ScheduleKeyDeletion"])
def test_the_lasting_policy_does_not_allow_another_key(
    policy: dict[str, Any], first_policy: dict[str, Any], action: str
) -> None:
    asked = (f"kms:{action}", _FOREIGN_KEY, {**_TAGGED, **_TAGGING})
    assert not allows(policy, *asked)
    assert not allows(made_for_this_platform(TEXT), *asked), "nor before the key's id is put in"
    assert allows(first_policy, *asked), "the guide warns of this: if it is no longer so, change the guide"


def test_the_policy_excludes_functions_of_similar_names(policy: dict[str, Any]) -> None:
    assert not allows(policy, "lambda:UpdateFunctionCode", f"{_WORKER}s-of-others", {})


def test_an_operator_limited_to_a_boundary_deploys_with_it_and_never_without(policy: dict[str, Any]) -> None:
    limited = copy.deepcopy(policy)
    (what_roles_may,) = (each for each in limited["Statement"] if each["Sid"] == "WhatRolesMay")
    what_roles_may["Action"].remove("iam:DeleteRolePermissionsBoundary")
    what_roles_may["Condition"] = {
        "StringEquals": {"iam:PermissionsBoundary": _BOUNDARY},
        "ArnEqualsIfExists": {"iam:PolicyARN": [_CHOSEN]},
    }
    assert [each for each in ASKED_UNDER_A_BOUNDARY if not allows(limited, *each)] == []
    assert [each for each in REFUSED_UNDER_A_BOUNDARY if allows(limited, *each)] == []


def test_the_guide_says_how_an_operator_is_limited_to_a_boundary() -> None:
    _, _, recipe = DOCS.partition("To limit that")
    assert "remove `iam:DeleteRolePermissionsBoundary`" in recipe
    assert '`"StringEquals": {"iam:PermissionsBoundary": "ARN"}`' in recipe
    assert '`"ArnEqualsIfExists": {"iam:PolicyARN": […]}`' in recipe


@pytest.mark.parametrize("sid", ["MakeTheKey", "TheNewKey", "StateBucket", "ListServices"])
def test_without_one_of_the_statements_a_first_deploy_is_refused(
    operator_session: boto3.Session,
    deployer: Operator,
    policy: dict[str, Any],
    first_policy: dict[str, Any],
    sid: str,
) -> None:
    statements = [*policy["Statement"], *first_policy["Statement"]]
    keys = user_with(operator_session, f"lacks-{sid}", OTHERWISE, *(each for each in statements if each["Sid"] != sid))
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
def test_the_policy_allows_nothing_outside_the_platform(
    cloud: RunningCloud, session: boto3.Session, service: str, call: str, arguments: dict[str, Any]
) -> None:
    where = cloud.apprunner_url if service == "apprunner" else cloud.endpoint_url
    with pytest.raises(ClientError) as refusal:
        getattr(session.client(service, endpoint_url=where), call)(**arguments)
    assert refusal.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


def test_each_policy_fits_into_a_managed_policy() -> None:
    assert max(len("".join(each.split())) for each in (TEXT, FIRST_TEXT)) < LARGEST_MANAGED_POLICY


def test_the_guide_explains_every_statement_and_other_platforms() -> None:
    assert [each["Sid"] for each in [*STATEMENTS, *FIRST_STATEMENTS] if f"`{each['Sid']}`" not in DOCS] == []
    assert FOR_ANOTHER_ID.replace(PLATFORM, "ID") in DOCS


def test_the_policy_can_make_only_the_platforms_roles() -> None:
    (roles,) = (each["Resource"] for each in STATEMENTS if each["Sid"] == "Roles")
    (what_roles_may,) = (each["Resource"] for each in STATEMENTS if each["Sid"] == "WhatRolesMay")
    assert [each.rpartition("/")[2] for each in roles] == [
        "fibfactory-api",
        "fibfactory-worker",
        "fibfactory-schedule",
        "fibfactory-apprunner-access",
    ]
    assert what_roles_may == roles


def allows(policy: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    """IAM's decision, as ministack evaluates it."""
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

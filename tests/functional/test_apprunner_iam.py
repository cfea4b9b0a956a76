"""The App Runner emulator of a local cloud accepts the callers that the cloud's IAM accepts: signatures, keys, policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from localcloud.identities import Identity
from localcloud.running import RunningCloud
from tests.functional.apprunner_fixtures import refused

LIST = "AppRunner.ListServices"


@dataclass(frozen=True)
class Person:
    """An IAM user of a test's own, and its App Runner."""

    cloud: RunningCloud
    iam: Any
    name: str
    access_key: str
    secret_key: str

    @property
    def apprunner(self) -> Any:
        return client(self.cloud, "apprunner", self.access_key, self.secret_key)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.cloud.account}:user/{self.name}"

    def may(self, *statements: dict[str, Any]) -> None:
        """Gives the user these statements and no other."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document)


def client(cloud: RunningCloud, service: str, key: str, secret: str, token: str | None = None) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint_url if service == "sts" else cloud.apprunner_url,
        region_name=cloud.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def allow(*actions: str, resource: str = "*", **condition: dict[str, Any]) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


@pytest.fixture
def person(cloud: RunningCloud) -> Iterator[Person]:
    iam = cloud.session("operator").client("iam")
    iam.create_user(UserName="carol")
    key = iam.create_access_key(UserName="carol")["AccessKey"]
    someone = Person(cloud, iam, "carol", key["AccessKeyId"], key["SecretAccessKey"])
    someone.may(allow("apprunner:ListConnections"))
    yield someone
    iam.delete_user_policy(UserName="carol", PolicyName="own")
    iam.delete_access_key(UserName="carol", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="carol")


@pytest.fixture(scope="module")
def service(cloud: RunningCloud) -> Iterator[str]:
    """The ARN of a service with the tag team=red, whose image nobody knows."""
    apprunner = cloud.session("operator").client("apprunner")
    arn = apprunner.create_service(**wanted("iam-red", team="red"))["Service"]["ServiceArn"]
    yield arn
    cloud.apprunner_admin.reset()


def wanted(name: str, **tags: str) -> dict[str, Any]:
    image = {"ImageIdentifier": "public.ecr.aws/nobody/nothing:1", "ImageRepositoryType": "ECR_PUBLIC"}
    return {
        "ServiceName": name,
        "SourceConfiguration": {"ImageRepository": image, "AutoDeploymentsEnabled": False},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def signed(cloud: RunningCloud, identity: Identity, *, body: bytes = b"{}") -> AWSRequest:
    """A signed request to list services, for a test to make invalid."""
    headers = {"X-Amz-Target": LIST, "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest("POST", cloud.apprunner_url + "/", data=body, headers=headers)
    keys = Credentials(identity.access_key, identity.secret_key)
    SigV4Auth(keys, "apprunner", cloud.region).add_auth(request)
    return request


def sent(request: AWSRequest) -> tuple[int, str]:
    """The status of the answer, and the error's code."""
    answer = urllib3.request("POST", request.url, body=request.body, headers=dict(request.headers), retries=False)
    return answer.status, json.loads(answer.data).get("__type", "")


def test_a_signature_made_with_the_secret_key_is_accepted(cloud: RunningCloud) -> None:
    assert sent(signed(cloud, cloud.identity("operator"))) == (200, "")


def test_a_signature_made_with_another_secret_key_is_refused(cloud: RunningCloud) -> None:
    own = cloud.identity("operator")
    stranger = client(cloud, "apprunner", own.access_key, "not-the-secret-key")
    assert refused(stranger.list_services)[0] == "InvalidSignatureException"


def test_a_body_that_was_changed_after_signing_is_refused(cloud: RunningCloud) -> None:
    request = signed(cloud, cloud.identity("operator"))
    request.data = b'{"MaxResults": 1}'
    assert sent(request) == (400, "InvalidSignatureException")


def test_an_operation_that_was_changed_after_signing_is_refused(cloud: RunningCloud) -> None:
    request = signed(cloud, cloud.identity("operator"))
    request.headers.replace_header("X-Amz-Target", "AppRunner.DescribeService")
    assert sent(request) == (400, "InvalidSignatureException")


def test_an_old_signature_is_refused(cloud: RunningCloud) -> None:
    identity, request = cloud.identity("operator"), signed(cloud, cloud.identity("operator"))
    del request.headers["Authorization"]
    then = datetime.now(UTC) - timedelta(hours=1)
    request.context["timestamp"] = then.strftime("%Y%m%dT%H%M%SZ")
    request.headers.replace_header("X-Amz-Date", request.context["timestamp"])
    signer = SigV4Auth(Credentials(identity.access_key, identity.secret_key), "apprunner", cloud.region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    assert sent(request) == (400, "InvalidSignatureException")


def test_an_unknown_key_is_refused(cloud: RunningCloud) -> None:
    stranger = client(cloud, "apprunner", "AKIAIOSFODNN7EXAMPLE", "x")
    assert refused(stranger.list_services)[0] == "UnrecognizedClientException"


def test_an_inactive_key_is_refused(person: Person) -> None:
    person.iam.update_access_key(UserName=person.name, AccessKeyId=person.access_key, Status="Inactive")
    assert refused(person.apprunner.list_services)[0] == "UnrecognizedClientException"


def test_session_keys_need_their_token(cloud: RunningCloud) -> None:
    own = cloud.identity("operator")
    session = client(cloud, "sts", own.access_key, own.secret_key).get_session_token()["Credentials"]
    keys = session["AccessKeyId"], session["SecretAccessKey"]
    client(cloud, "apprunner", *keys, session["SessionToken"]).list_services()
    assert refused(client(cloud, "apprunner", *keys).list_services)[0] == "UnrecognizedClientException"


def test_the_accounts_root_may_do_everything(cloud: RunningCloud) -> None:
    client(cloud, "apprunner", "test", "test").list_services()


@pytest.mark.parametrize(
    ("api", "operation", "action"),
    [
        ("apprunner", "list_services", "apprunner:ListServices"),
        ("resourcegroupstaggingapi", "get_resources", "tag:GetResources"),
    ],
)
def test_a_refusal_names_the_missing_permission(cloud: RunningCloud, api: str, operation: str, action: str) -> None:
    code, message = refused(getattr(cloud.session("alice").client(api), operation))
    assert code == "AccessDeniedException"
    assert message.startswith(
        f"User: {cloud.identity('alice').user_arn} is not authorized to perform: {action} on resource: *"
    )


def test_permission_is_checked_before_anything_else_in_a_request(person: Person) -> None:
    nowhere = f"arn:aws:apprunner:{person.cloud.region}:{person.cloud.account}:service/x/0"
    assert refused(person.apprunner.describe_service, ServiceArn=nowhere)[0] == "AccessDeniedException"
    person.may(allow("apprunner:DescribeService"))
    assert refused(person.apprunner.describe_service, ServiceArn=nowhere)[0] == "ResourceNotFoundException"


def test_a_changed_policy_holds_from_the_next_call_on(person: Person) -> None:
    person.may(allow("apprunner:ListServices"))
    person.apprunner.list_services()
    person.may(allow("apprunner:ListConnections"))
    assert refused(person.apprunner.list_services)[0] == "AccessDeniedException"


def test_a_resource_is_the_services_arn(person: Person, service: str) -> None:
    person.may(allow("apprunner:DescribeService", resource=service))
    person.apprunner.describe_service(ServiceArn=service)
    person.may(allow("apprunner:DescribeService", resource=service + "x"))
    assert refused(person.apprunner.describe_service, ServiceArn=service)[0] == "AccessDeniedException"


@pytest.mark.parametrize(("team", "outcome"), [("red", None), ("blue", "AccessDeniedException")])
def test_a_condition_can_be_about_the_services_tags(
    person: Person, service: str, team: str, outcome: str | None
) -> None:
    person.may(allow("apprunner:DescribeService", StringEquals={"aws:ResourceTag/team": team}))
    assert outcome_of(lambda: person.apprunner.describe_service(ServiceArn=service)) == outcome


@pytest.mark.parametrize(("team", "outcome"), [("red", None), ("blue", "AccessDeniedException")])
def test_a_condition_can_be_about_the_tags_of_the_request(
    person: Person, service: str, team: str, outcome: str | None
) -> None:
    only = {"aws:RequestTag/team": team}
    person.may(allow("apprunner:CreateService", "apprunner:TagResource", StringEquals=only))
    made = wanted(f"iam-requested-{team}", team="red")
    assert outcome_of(lambda: person.apprunner.create_service(**made)) == outcome


def test_a_policy_can_compare_a_request_tag_with_the_services_tag(person: Person, service: str) -> None:
    change = {"aws:RequestTag/team": "${aws:ResourceTag/team}"}
    person.may(allow("apprunner:TagResource"), {**allow("*", StringNotEquals=change), "Effect": "Deny"})
    person.apprunner.tag_resource(ResourceArn=service, Tags=[{"Key": "team", "Value": "red"}])
    code, message = refused(person.apprunner.tag_resource, ResourceArn=service, Tags=[{"Key": "team", "Value": "blue"}])
    assert code == "AccessDeniedException"
    assert message.endswith("with an explicit deny in an identity-based policy")


def test_giving_a_role_needs_permission_for_that_role_and_that_service(person: Person, service: str) -> None:
    role = f"arn:aws:iam::{person.cloud.account}:role/runs"

    def give() -> object:
        return person.apprunner.update_service(ServiceArn=service, InstanceConfiguration={"InstanceRoleArn": role})

    update = allow("apprunner:UpdateService")
    for passing in (allow("iam:PassRole", resource=role + "x"), to(role, "lambda.amazonaws.com")):
        person.may(update, passing)
        with pytest.raises(Exception, match=r"not authorized to perform: iam:PassRole on resource: .*role/runs"):
            give()
    person.may(update, to(role, "bullet.amazonaws.com"))
    assert outcome_of(give) != "AccessDeniedException"


def test_a_boundary_holds_for_app_runner_too(person: Person) -> None:
    boundary = {"Version": "2012-10-17", "Statement": [allow("tag:GetResources")]}
    arn = person.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(boundary))["Policy"]["Arn"]
    person.may(allow("apprunner:ListServices"))
    person.apprunner.list_services()
    person.iam.put_user_permissions_boundary(UserName=person.name, PermissionsBoundary=arn)
    assert refused(person.apprunner.list_services)[0] == "AccessDeniedException"
    person.iam.delete_user_permissions_boundary(UserName=person.name)
    person.iam.delete_policy(PolicyArn=arn)


def to(role: str, service: str) -> dict[str, Any]:
    return allow("iam:PassRole", resource=role, StringEquals={"iam:PassedToService": service})


def outcome_of(call: Callable[[], object]) -> str | None:
    """The code with which a call is refused, None when it isn't."""
    try:
        call()
    except Exception as error:
        return str(getattr(error, "response", {"Error": {"Code": repr(error)}})["Error"]["Code"])
    return None

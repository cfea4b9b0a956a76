"""The server: its program, and long creates of many engines at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.provider.property_values import decode, encode
from localcloud.provider.server import serve
from localcloud.running import RunningCloud
from localcloud.settings import ROOT
from tests.functional.apprunner_fixtures import eventually

pytest_plugins = ("tests.functional.provider_fixtures",)

_SERVICE = "aws:apprunner/service:Service"
_ENGINES = 20


@contextmanager
def engine(port: int) -> Iterator[Any]:
    """A connection of its own, as each engine has; the handshake is done."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"), wait_for_ready=True)
        yield stub


def configure(stub: Any, cloud: RunningCloud) -> None:
    operator = cloud.identity("operator")
    config = {
        "accessKey": operator.access_key,
        "secretKey": operator.secret_key,
        "region": cloud.region,
        "endpoints": f'[{{"apprunner":"{cloud.apprunner_url}","sts":"{cloud.endpoint_url}"}}]',
    }
    stub.Configure(provider_pb2.ConfigureRequest(args=encode(config)))


def create(stub: Any, name: str) -> Future[Any]:
    source = {
        "autoDeploymentsEnabled": False,
        "imageRepository": {"imageIdentifier": "public.ecr.aws/no/image:here", "imageRepositoryType": "ECR_PUBLIC"},
    }
    properties = encode({"serviceName": name, "sourceConfiguration": source})
    urn = f"urn:pulumi:s::p::{_SERVICE}::{name}"
    future: Future[Any] = stub.Create.future(provider_pb2.CreateRequest(urn=urn, type=_SERVICE, properties=properties))
    return future


def busy(admin: AppRunnerAdmin) -> int:
    return sum(each.status == "OPERATION_IN_PROGRESS" for each in admin.services())


def partial_id(error: grpc.RpcError) -> str:
    """The id in the details of a failed create, as the engine reads it."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(details).details[0].Unpack(failed)
    return str(failed.id)


def test_the_program_prints_its_port_when_it_is_ready_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "localcloud.provider"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with engine(port) as stub:
            assert stub.GetPluginInfo(empty_pb2.Empty()).version
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_taken_port_is_refused() -> None:
    with serve() as port, pytest.raises(RuntimeError), serve(port):
        pass


def test_twenty_engines_wait_for_their_creates_at_once_and_each_is_cancelled_alone(
    cloud: RunningCloud, apprunner_admin: AppRunnerAdmin
) -> None:
    apprunner_admin.behave(clock_speed=0, quota=100)
    with serve() as port, ExitStack() as connections:
        stubs = [connections.enter_context(engine(port)) for _ in range(_ENGINES)]
        for stub in stubs:
            configure(stub, cloud)
        creates = [create(stub, f"many-{number}") for number, stub in enumerate(stubs)]
        assert eventually(lambda: busy(apprunner_admin) == _ENGINES), "not all creates have started"

        token = "aws:index/getCallerIdentity:getCallerIdentity"
        who = decode(getattr(stubs[0].Invoke(provider_pb2.InvokeRequest(tok=token)), "return"))
        assert who["accountId"] == cloud.account

        stubs[0].Cancel(empty_pb2.Empty())
        with pytest.raises(grpc.RpcError, match="context canceled") as cancelled:
            creates[0].result(timeout=30)
        assert not any(each.done() for each in creates[1:])

        apprunner_admin.advance(10)
        ids = {partial_id(cancelled.value)}
        for each in creates[1:]:
            with pytest.raises(grpc.RpcError, match="CREATE_FAILED") as failed:
                each.result(timeout=60)
            ids.add(partial_id(failed.value))
    assert len(ids) == _ENGINES
    client = cloud.session("operator").client("apprunner")
    for identifier in ids:
        client.delete_service(ServiceArn=identifier)

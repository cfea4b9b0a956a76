"""The processes behind the App Runner emulator: many at once, its command line, and that none is left, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from localcloud.apprunner.admin import AppRunnerAdmin, ControlApiError
from localcloud.apprunner.server import RunningEmulator
from localcloud.apprunner.settings import DEFAULT_IMAGES
from tests.functional.apprunner_fixtures import (  # noqa: F401
    ACCESS_KEY,
    INSTANCE_ROLE,
    LIMIT_SECONDS,
    REGION,
    Lab,
    client,
    eventually,
    fixture_images_file,
    fixture_lab,
    get,
    has_ended,
    image,
    is_gone,
    refused,
    running_lab,
)

CHECKOUT = Path(__file__).resolve().parents[2]
HELPED = {"HELPER": "yes"}


@dataclass(frozen=True)
class Started:
    """The emulator as a process of its own."""

    process: subprocess.Popen[str]
    lab: Lab


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "localcloud.apprunner", *options]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def started(folder: Path, images: Path) -> Iterator[Started]:
    with start("--port", "0", "--folder", str(folder), "--images", str(images)) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("App Runner emulator ready at http://127.0.0.1:"), line
            url = line.split()[-1]
            emulator = RunningEmulator(url, int(url.rpartition(":")[2]))
            yield Started(process, Lab(emulator, emulator.admin(), client("apprunner", url)))
        finally:
            process.kill()


def test_twenty_services_created_at_once_all_run_and_are_all_deleted(lab: Lab) -> None:
    names = [f"service-{number:02}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        services = list(pool.map(lab.created, names))
        assert {each["Status"] for each in services} == {"RUNNING"}
        urls = [each["ServiceUrl"] for each in services]
        assert len(set(urls)) == 20
        pids = [answer["pid"] for answer in pool.map(get, urls)]
        assert len(set(pids)) == 20
        list(pool.map(lambda each: lab.apprunner.delete_service(ServiceArn=each["ServiceArn"]), services))
        assert {lab.settled(each["ServiceArn"])["Status"] for each in services} == {"DELETED"}
    assert lab.names() == []
    assert all(is_gone(pid) for pid in pids)


def test_of_forty_clients_at_once_only_one_gets_a_name(lab: Lab) -> None:
    lab.admin.inject("wedge", times=40)

    def ask(_: int) -> str:
        try:
            return lab.create("wanted")["ServiceArn"]
        except lab.apprunner.exceptions.InvalidRequestException:
            return "refused"

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, range(40)))
    assert len(answers) - answers.count("refused") == 1
    assert lab.names() == ["wanted"]


def test_leaving_the_emulator_ends_every_process_and_their_children(tmp_path: Path, images_file: Path) -> None:
    with running_lab(tmp_path / "apprunner", images_file) as lab:
        service = lab.created("family", image(RuntimeEnvironmentVariables=HELPED))
        answer = get(service["ServiceUrl"])
        lab.admin.behave(delays={"create": 3600})
        lab.create("in-the-middle")
        assert eventually(lambda: len([each for each in lab.admin.services() if each.pid]) == 2)
        pids = [answer["pid"], answer["helper"], *(each.pid for each in lab.admin.services() if each.pid)]
    assert all(eventually(partial(has_ended, pid)) for pid in pids)


def test_deleting_a_service_ends_the_children_of_its_process_too(lab: Lab) -> None:
    service = lab.created("family", image(RuntimeEnvironmentVariables=HELPED))
    helper = get(service["ServiceUrl"])["helper"]
    assert psutil.pid_exists(helper)
    lab.after("delete", service["ServiceArn"])
    assert eventually(partial(has_ended, helper))


def test_a_process_that_dies_is_reaped_and_its_service_can_be_deployed_again(lab: Lab) -> None:
    service = lab.created("mortal")
    arn, pid = service["ServiceArn"], get(service["ServiceUrl"])["pid"]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(pid)), "it stayed a zombie"
    assert lab.pid(arn) is None
    lab.apprunner.start_deployment(ServiceArn=arn)
    assert lab.settled(arn)["Status"] == "RUNNING"
    assert get(service["ServiceUrl"])["pid"] != pid


def test_a_reset_ends_all_processes_and_restores_all_settings(lab: Lab) -> None:
    pids = [get(lab.created(name)["ServiceUrl"])["pid"] for name in ("first", "second")]
    lab.admin.behave(delays={"create": 3600}, quota=3, clock_speed=0)
    lab.create("in-the-middle")
    lab.admin.inject("wedge")
    lab.admin.reset()
    assert all(is_gone(pid) for pid in pids)
    assert (lab.names(), lab.admin.services(), lab.admin.faults()) == ([], [], [])
    assert lab.admin.behaviour().quota == 30
    assert lab.created("first")["Status"] == "RUNNING"


def test_a_service_gets_no_credentials_and_its_log_says_which_secrets_are_left_out(
    tmp_path: Path, images_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-emulator-s-own")
    source = image(RuntimeEnvironmentSecrets={"TOKEN": "arn:aws:ssm:us-west-2:000000000000:parameter/token"})
    role = {"InstanceRoleArn": INSTANCE_ROLE}
    with running_lab(tmp_path / "apprunner", images_file) as lab:
        service = lab.created("careful", source, InstanceConfiguration=role)
        environment = get(service["ServiceUrl"])["environment"]
        [shown] = lab.admin.services()
    assert not {"AWS_SECRET_ACCESS_KEY", "TOKEN"} & environment.keys()
    log = tmp_path / "apprunner" / "aws" / "apprunner" / "careful" / service["ServiceId"] / "application.log"
    assert shown.log == str(log)
    assert "left out: TOKEN" in log.read_text()


def test_the_call_log_has_caller_operation_service_and_error(lab: Lab) -> None:
    lab.create("hello")
    refused(lab.create, name="hello")
    calls = [(call.target, call.access_key, call.region, call.service, call.error) for call in lab.admin.calls()]
    assert calls == [
        ("AppRunner.CreateService", ACCESS_KEY, REGION, "hello", None),
        ("AppRunner.CreateService", ACCESS_KEY, REGION, "hello", "InvalidRequestException"),
    ]


def test_the_control_api_refuses_unknown_input_and_browsers(lab: Lab) -> None:
    control_api = f"{lab.emulator.url}/_emulator"

    def ask(method: str, path: str, body: object, **headers: str) -> int:
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return urllib3.request(method, control_api + path, body=json.dumps(body), headers=sent).status

    assert ask("PUT", "/settings", {"quotas": 1}) == 400
    assert ask("PUT", "/settings", {"quota": -1}) == 400
    assert ask("POST", "/faults", {"kind": "earthquake"}) == 400
    assert ask("POST", "/clock/advance", {"seconds": -1}) == 400
    assert ask("POST", "/reset", {}, Content_Type="text/plain") == 403
    assert ask("GET", "/settings", {}, Host="evil.example") == 403
    with pytest.raises(ControlApiError):
        AppRunnerAdmin(f"{lab.emulator.url}/elsewhere").behaviour()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_emulator_s_process_and_every_service(
    tmp_path: Path, images_file: Path, number: signal.Signals
) -> None:
    with started(tmp_path / "apprunner", images_file) as emulator:
        pid = get(emulator.lab.created("hello")["ServiceUrl"])["pid"]
        emulator.process.send_signal(number)
        assert emulator.process.wait(LIMIT_SECONDS) == 0
        assert is_gone(pid)


def test_services_end_with_an_emulator_that_is_killed(tmp_path: Path, images_file: Path) -> None:
    with started(tmp_path / "apprunner", images_file) as emulator:
        pids = [get(emulator.lab.created(name)["ServiceUrl"])["pid"] for name in ("first", "second")]
        emulator.process.kill()
        emulator.process.wait(LIMIT_SECONDS)
    # The process that inherits them may not reap them, but they must not run.
    assert all(eventually(partial(has_ended, pid)) for pid in pids)


def test_a_taken_port_and_a_bad_file_are_errors_that_say_what_to_do(
    lab: Lab, tmp_path: Path, images_file: Path
) -> None:
    folder = str(tmp_path / "other")
    with start("--port", str(lab.emulator.port), "--folder", folder, "--images", str(images_file)) as process:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
        assert process.returncode == 1
        assert "choose another port" in output
    broken = tmp_path / "broken.toml"
    broken.write_text("[[image]]\nmatch = []\n")
    with start("--port", "0", "--folder", folder, "--images", str(broken)) as process:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
        assert process.returncode == 1
        assert str(broken) in output


def test_the_sample_file_runs_fibservice_for_public_and_private_images(tmp_path: Path) -> None:
    public = image()
    public["ImageRepository"]["ImageIdentifier"] = "public.ecr.aws/fibfactory/fibservice:latest"
    broken = image()
    broken["ImageRepository"]["ImageIdentifier"] = "public.ecr.aws/fibfactory/fibservice:broken"
    private = {
        "ImageRepository": {
            "ImageIdentifier": "123456789012.dkr.ecr.us-west-2.amazonaws.com/fibservice:v2",
            "ImageRepositoryType": "ECR",
        },
        "AuthenticationConfiguration": {"AccessRoleArn": INSTANCE_ROLE},
    }
    check = {"Protocol": "HTTP", "Path": "/health"}
    with running_lab(tmp_path / "apprunner", DEFAULT_IMAGES) as lab:
        for name, source in (("public", public), ("private", private)):
            service = lab.created(name, source, HealthCheckConfiguration=check)
            assert service["Status"] == "RUNNING"
            assert get(f"{service['ServiceUrl']}/fib/20") == {"fib": 6765, "n": 20}
        assert lab.created("broken", broken)["Status"] == "CREATE_FAILED"


def aws(lab: Lab, *arguments: str) -> Any:
    """Run the real command line of AWS against the emulator."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL_APPRUNNER": lab.emulator.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": REGION,
    }
    command = [sys.executable, str(Path(sys.executable).parent / "aws"), "apprunner", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_aws_command_line_creates_lists_and_deletes(lab: Lab) -> None:
    source = json.dumps(image() | {"AutoDeploymentsEnabled": False})
    made = aws(lab, "create-service", "--service-name", "by-hand", "--source-configuration", source)["Service"]
    assert made["Status"] == "OPERATION_IN_PROGRESS"
    assert lab.settled(made["ServiceArn"])["Status"] == "RUNNING"
    listed = aws(lab, "list-services")["ServiceSummaryList"]
    assert [each["ServiceName"] for each in listed] == ["by-hand"]
    gone = aws(lab, "delete-service", "--service-arn", made["ServiceArn"])["Service"]
    assert gone["ServiceId"] == made["ServiceId"]
    assert lab.settled(made["ServiceArn"])["Status"] == "DELETED"

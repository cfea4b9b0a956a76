"""An operator of a local cloud, who runs `python -m bootstrap` as a command and looks at what it made."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3

from localcloud.running import RunningCloud
from localcloud.settings import ROOT

REGION, ACCOUNT = RunningCloud.region, RunningCloud.account
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, its stdout (`out`) and its stderr (`said`)."""

    code: int
    out: str
    said: str


class Operator:
    """Runs `python -m bootstrap` with a local cloud, and with nothing of this process's environment but PATH."""

    def __init__(self, cloud: RunningCloud, folder: Path) -> None:
        self._cloud, self.folder = cloud, folder
        self.environment = {"HOME": str(folder), "TMPDIR": str(folder), **self.of("operator")}

    def of(self, name: str) -> dict[str, str]:
        """The environment of another identity of the cloud."""
        return self._cloud.environment(self._cloud.identity(name))

    def runs(
        self,
        *arguments: str,
        answers: str = "",
        environment: Mapping[str, str] = NONE,
        without: Collection[str] = (),
        checkout: Path = ROOT,
    ) -> Ran:
        """One command to its end; `environment` is added to the operator's, `without` taken from it."""
        done = subprocess.run(
            [sys.executable, "-m", "bootstrap", *arguments],
            cwd=checkout,
            env={name: value for name, value in {**self.environment, **environment}.items() if name not in without},
            input=answers,
            capture_output=True,
            text=True,
            timeout=180,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def deploys(self, platform: str, *arguments: str, environment: Mapping[str, str] = NONE) -> Ran:
        """A deploy from the checkout's own code, without questions, whose operator is the operator."""
        command = ("deploy", "--platform", platform, "--code", "archive", "--yes", "--json")
        who = ("--operator", self._cloud.identity("operator").user_arn)
        images = ("--image-registry", "public.ecr.aws/fibfactory/")
        return self.runs(*command, *who, *images, *arguments, environment=environment)

    def runs_until(
        self, line: Callable[[str], bool], then: Callable[[subprocess.Popen[str]], object], *arguments: str
    ) -> Ran:
        """One command to its end; `then` is called at the first line of its stderr for which `line` is true."""
        said, waiting = [], True
        with subprocess.Popen(
            [sys.executable, "-m", "bootstrap", *arguments],
            cwd=ROOT,
            env=self.environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            for each in process.stderr:
                said.append(each)
                if waiting and line(each):
                    waiting = False
                    then(process)
        assert not waiting, "".join(said)
        return Ran(process.returncode, "", "".join(said))


def interrupt(process: subprocess.Popen[str]) -> None:
    """Send what Ctrl-C sends."""
    process.send_signal(signal.SIGINT)


def outputs_of(ran: Ran) -> dict[str, str]:
    assert ran.code == 0, ran.said
    outputs: dict[str, str] = json.loads(ran.out)
    return outputs


def last_words(ran: Ran) -> str:
    """The error with which it ended."""
    assert ran.code, ran.said
    return ran.said[ran.said.index("error ") :]


def one_sentence(ran: Ran) -> str:
    """The final error: one line of what happened, one of what to do, and no traceback."""
    words = last_words(ran)
    assert "Traceback" not in ran.said
    assert len(words.strip().splitlines()) == 2, words
    return words


def changes(ran: Ran) -> list[str]:
    """The lines about changed resources, without their times."""
    lines = [line.strip() for line in ran.said.splitlines() if line.startswith(("  + ", "  ~ ", "  - "))]
    return [re.sub(r" [0-9]+ s$", "", line) for line in lines]


def bucket_of(platform: str) -> str:
    return f"{platform}-state-{ACCOUNT}-{REGION}"


def keys_below(session: boto3.Session, platform: str, prefix: str) -> list[str]:
    listed = session.client("s3").list_objects_v2(Bucket=bucket_of(platform), Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def user_with(session: boto3.Session, name: str, *statements: dict[str, Any]) -> dict[str, str]:
    """Make a user with these permissions; returns the access key as environment variables."""
    iam = session.client("iam")
    iam.create_user(UserName=name)
    allow(session, name, *statements)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def allow(session: boto3.Session, user: str, *statements: dict[str, Any]) -> None:
    """Replace the user's permissions by these statements."""
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    session.client("iam").put_user_policy(UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy))


EVERYTHING: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def but(*actions: str) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*"}

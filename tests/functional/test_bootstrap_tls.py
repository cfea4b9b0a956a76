"""Over TLS the state bucket gets the rule that refuses plain HTTP: on an endpoint that serves TLS, as AWS's do."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bootstrap.foundations.ensure import ensure_foundations
from localcloud.settings import HOST, REGION, Ports


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback address, signed by itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=now.year + 1, day=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return certificate_file, key_file


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """A session of an IAM user, on an emulator that serves TLS and enforces policies."""
    tmp_path = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(tmp_path)
    port = Ports.free().ministack
    url = f"https://{HOST}:{port}"
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
    }
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"], env=environment, cwd=tmp_path, stdout=log, stderr=log
    )
    try:
        wait_until_ready(url, certificate)
        root = session_to(url, certificate, "test", "test")
        user = root.client("iam")
        user.create_user(UserName="operator")
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        user.put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=json.dumps(allow))
        made = user.create_access_key(UserName="operator")["AccessKey"]
        yield session_to(url, certificate, made["AccessKeyId"], made["SecretAccessKey"])
    finally:
        # Asked to end, it would wait for connections that are kept alive; it holds nothing that has to be saved.
        process.kill()
        process.wait()
        log.close()


def session_to(url: str, certificate: Path, access_key: str, secret_key: str) -> boto3.Session:
    config = certificate.parent / f"config-{access_key}"
    config.write_text(f"[default]\nendpoint_url = {url}\nca_bundle = {certificate}\n")
    inner = botocore.session.Session()
    inner.set_config_variable("config_file", str(config))
    return boto3.Session(access_key, secret_key, region_name=REGION, botocore_session=inner)


def wait_until_ready(url: str, certificate: Path) -> None:
    context, deadline = ssl.create_default_context(cafile=certificate), time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/ready", context=context, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def come_without_tls(request: Any, **_: Any) -> None:
    """Marks the request as received by a proxy over plain HTTP."""
    request.headers["X-Forwarded-Proto"] = "http"


def test_the_bucket_serves_tls_and_refuses_plain_http(session: boto3.Session) -> None:
    lines: list[str] = []
    foundations = ensure_foundations(session, "secure", lines.append)
    assert "set the bucket's TLS-only rule" in lines
    assert not [line for line in lines if line.startswith("left out")]

    s3 = session.client("s3")
    s3.put_object(Bucket=foundations.bucket, Key=".pulumi/meta.yaml", Body=b"version: 1")
    s3.meta.events.register("before-send.s3", come_without_tls)
    with pytest.raises(ClientError, match="explicit deny"):
        s3.get_object(Bucket=foundations.bucket, Key=".pulumi/meta.yaml")


def test_a_second_run_over_tls_changes_nothing_and_keeps_statements_of_others(session: boto3.Session) -> None:
    foundations = ensure_foundations(session, "kept", lambda _: None)
    s3 = session.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=foundations.bucket)["Policy"])
    theirs = {
        "Sid": "Theirs",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteBucket",
        "Resource": f"arn:aws:s3:::{foundations.bucket}",
    }
    s3.put_bucket_policy(Bucket=foundations.bucket, Policy=json.dumps({**policy, "Statement": [theirs]}))

    lines: list[str] = []
    ensure_foundations(session, "kept", lines.append)
    assert lines == ["set the bucket's TLS-only rule"]
    policy = json.loads(s3.get_bucket_policy(Bucket=foundations.bucket)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["Theirs", "FibfactoryTlsOnly"]
    again: list[str] = []
    ensure_foundations(session, "kept", again.append)
    assert again == []

"""The stand-in for GitHub's issuer: its public key checks its tokens, and nothing is left when it is stopped."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.token_issuer import AUDIENCE, IssuerServer, TokenIssuer, workflow


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    server = IssuerServer()
    yield server.issuer
    server.stop()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def published_key(issuer: TokenIssuer, key_id: str) -> rsa.RSAPublicKey:
    """The key, found as an authorizer finds it."""
    discovery = urllib3.request("GET", f"{issuer.url}/.well-known/openid-configuration").json()
    assert discovery["issuer"] == issuer.url
    (key,) = [each for each in urllib3.request("GET", discovery["jwks_uri"]).json()["keys"] if each["kid"] == key_id]
    return rsa.RSAPublicNumbers(int.from_bytes(raw(key["e"])), int.from_bytes(raw(key["n"]))).public_key()


def test_a_token_can_be_checked_by_what_the_issuer_publishes(issuer: TokenIssuer) -> None:
    head, payload, signature = issuer.token(workflow(repository_id="7")).split(".")
    key = published_key(issuer, json.loads(raw(head))["kid"])
    key.verify(raw(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        key.verify(raw(signature), f"{head}.{payload}x".encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = json.loads(raw(payload))
    assert (claims["iss"], claims["aud"], claims["repository_id"]) == (issuer.url, AUDIENCE, "7")
    assert claims["nbf"] <= time.time() < claims["exp"]


def test_an_issuer_restored_from_its_values_makes_the_same_tokens(issuer: TokenIssuer) -> None:
    again = TokenIssuer(issuer.url, issuer.private_key)
    claims = {**workflow(), "iat": 1, "nbf": 1, "exp": 2}
    assert again.token(claims) == issuer.token(claims)
    assert issuer.private_key not in repr(issuer)


def test_other_paths_are_not_found_and_a_stopped_issuer_does_not_answer() -> None:
    server = IssuerServer()
    url = server.issuer.url
    assert urllib3.request("GET", f"{url}/").status == 404
    server.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) != 0

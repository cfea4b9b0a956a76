"""A stand-in for GitHub's issuer of OpenID Connect tokens, which workflows bring to the platform's second API.

    cloud.tokens.token(workflow(repository_id="2001"))

It serves on loopback what an authorizer reads: the discovery document and the public key. Any program that has the
running cloud can make tokens, so a test can make wrong ones, too.

Rule: it is a thread of the cloud's supervisor, so it ends with that.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.settings import HOST

AUDIENCE = "fibfactory"
KEY_ID = "local-1"

_DISCOVERY = "/.well-known/openid-configuration"
_KEYS = "/.well-known/jwks"
_POLL_SECONDS = 0.05
_SECONDS = 300
"""GitHub's tokens are valid for five minutes."""


@dataclass(frozen=True)
class TokenIssuer:
    """The issuer's URL, and the key that it signs with (PEM)."""

    url: str
    private_key: str = field(repr=False)

    def token(self, claims: Mapping[str, object]) -> str:
        """A signed token with these claims and those that an issuer adds: issuer, audience, validity."""
        now = int(time.time())
        issued = {"iss": self.url, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + _SECONDS}
        return self.signed({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}, json.dumps({**issued, **claims}).encode())

    def signed(self, header: Mapping[str, object], payload: bytes) -> str:
        """Any header and payload, signed as RS256 (RFC 7515), whatever the header says."""
        text = f"{_base64url(json.dumps(header).encode())}.{_base64url(payload)}"
        return f"{text}.{_base64url(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self.private_key.encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key


def workflow(**claims: object) -> dict[str, object]:
    """The claims of a push to the main branch of repository 2001 of owner 1001, as GitHub documents them, with these changed."""
    return {
        "jti": str(uuid.uuid4()),
        "sub": "repo:acme/app:ref:refs/heads/main",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "sha": "0" * 40,
        "repository": "acme/app",
        "repository_id": "2001",
        "repository_owner": "acme",
        "repository_owner_id": "1001",
        "repository_visibility": "private",
        "actor": "octocat",
        "actor_id": "3001",
        "event_name": "push",
        "run_id": "1",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
        "workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main",
        **claims,
    }


class IssuerServer(ThreadingHTTPServer):
    """The running issuer."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.issuer = TokenIssuer(f"http://{HOST}:{self.server_port}", pem.decode())
        self.documents = _documents(self.issuer.url, key.public_key().public_numbers())
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="token-issuer", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End it, and give its port back."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: IssuerServer

    def do_GET(self) -> None:
        document = self.server.documents.get(self.path)
        body = json.dumps(document).encode() if document else b""
        self.send_response(200 if document else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the authorizer has a log of its own."""


def _documents(url: str, key: rsa.RSAPublicNumbers) -> dict[str, dict[str, object]]:
    public = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": _number(key.n), "e": _number(key.e)}
    discovery: dict[str, object] = {
        "issuer": url,
        "jwks_uri": f"{url}{_KEYS}",
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    }
    return {_DISCOVERY: discovery, _KEYS: {"keys": [public]}}


def _number(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(raw: bytes) -> str:
    """Base64 for URLs without padding, as in tokens."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

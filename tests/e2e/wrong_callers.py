"""Tokens and signatures that are invalid or belong to a caller without access: mutations of valid ones, as two tables.

The valid claims are those of `localcloud.token_issuer.workflow`; `tools.platform_on_localcloud.WORKFLOWS` lists who has access.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud.settings import REGION
from localcloud.token_issuer import AUDIENCE, KEY_ID, TokenIssuer, workflow
from tools.platform_on_localcloud import Platform

Claims = Mapping[str, object]
MISSING = object()
HEADER = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
REUSABLE = {
    "repository_id": "2002",
    "job_workflow_ref": "acme/infra/.github/workflows/deploy.yml@refs/heads/main",
    "ref": "refs/tags/v1",
}
"""The claims of the repository that has access only through one workflow file, on any ref."""

STILL_VALID = {
    ("aud", "in a list"),
    ("aud", "twice in a list"),
    ("ref", "with an invisible after"),
    ("ref", "with another"),
}
"""Mutations that leave the token valid: an audience may be a list, and a branch may have such a name."""
REQUIRED_CLAIMS = ("iss", "aud", "repository_id", "repository_owner_id", "ref", "event_name")


# -- Claims --------------------------------------------------------------------------------------------------------------


def mutations_of(value: str) -> dict[str, object]:
    """Wrong values made from a claim's valid value, by what is wrong."""
    return {
        "missing": MISSING,
        "null": None,
        "empty": "",
        "a space": " ",
        "true": True,
        "a number": 7,
        "a fraction": 1.5,
        "in a list": [value],
        "twice in a list": [value, value],
        "in an object": {"value": value},
        "an empty list": [],
        "as a list's text": f"[{value}]",
        "with a space after": f"{value} ",
        "with a line after": f"{value}\n",
        "with a null after": f"{value}\0",
        "with an invisible after": f"{value}\u200b",
        "in wide characters": "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in value),
        "quoted": json.dumps(value),
        "with another": f"{value},{value}",
        "huge": value + "0" * 4000,
        "a pattern": "*",
    }


WRONG_VALUES: dict[str, list[object]] = {
    "iss": [
        "https://token.actions.githubusercontent.com",
        "http://127.0.0.1",
        "http://127.0.0.1:1/",
        "https://evil.example",
    ],
    "aud": ["sts.amazonaws.com", f"{AUDIENCE}2", AUDIENCE.upper(), f"https://{AUDIENCE}", ["a", "b"]],
    "exp": [MISSING, 0, 1, -1, int(time.time()) - 1, int(time.time()) - 86400],
    "nbf": [int(time.time()) + 86400, 2**40],
    "iat": [int(time.time()) + 86400, 2**40],
    "repository_id": [
        "2003",
        "200",
        "20011",
        "02001",
        "2001.0",
        "0x7d1",
        "-2001",
        "1001",
        "3001",
        "acme/app",
        "9" * 30,
    ],
    "repository_owner_id": ["1002", "100", "10011", "01001", "acme", "2001", "3001", "1001 OR 1=1"],
    "ref": [
        "refs/tags/v1",
        "refs/heads",
        "refs/headsx/main",
        "refs/Heads/main",
        "REFS/HEADS/MAIN",
        "heads/main",
        "main",
        "/refs/heads/main",
        "xrefs/heads/main",
        "refs/heads/main refs/heads/x",
        "refs/notes/refs/heads/main",
        "refs/remotes/origin/main",
    ],
    "event_name": ["pull_request_target", "PULL_REQUEST_TARGET", "pull_request_target ", "push pull_request_target"],
}

OTHER_REPOSITORY = {"repository_id": "2666", "repository_owner_id": "1666"}
SPOOFED: dict[str, Claims] = {
    "the subject": {},
    "the subject as it is for ids": {"sub": "repository_owner_id:1001:repository_id:2001"},
    "the subject's environment": {"sub": "repo:acme/app:environment:production"},
    "names": {"repository": "acme/app", "repository_owner": "acme"},
    "an identity of IAM": {"userArn": "arn:aws:iam::000000000000:user/alice", "iam": {"userArn": "arn:x"}},
    "an owner": {"owner": "github:repository:2001"},
    "a group": {"groups": ["team-a"], "group": "team-a", "cognito:groups": ["operators"]},
    "an operator": {"operator": True, "operators": ["github:repository:2666"], "scope": "operator admin *"},
    "other spellings": {
        "Repository_Id": "2001",
        "REPOSITORY_ID": "2001",
        "repositoryId": "2001",
        "repository-id": "2001",
    },
    "a prototype": {"__proto__": {"repository_id": "2001"}, "constructor": {"repository_id": "2001"}},
    "an enterprise": {"enterprise_id": "1001", "enterprise": "acme"},
    "a fork's parent": {"base_repository_id": "2001", "head_repository_id": "2001", "parent": {"id": 2001}},
}

WRONG_WORKFLOW_FILES: list[object] = [
    MISSING,
    None,
    "",
    "*",
    ["acme/infra/.github/workflows/deploy.yml@refs/heads/main"],
    "acme/infra/.github/workflows/deploy.yml",
    "acme/infra/.github/workflows/deploy.yml@refs/heads/main2",
    "acme/infra/.github/workflows/deploy.yml@refs/tags/main",
    "acme/infra/.github/workflows/other.yml@refs/heads/main",
    "acme/infra2/.github/workflows/deploy.yml@refs/heads/main",
    "evil/acme/infra/.github/workflows/deploy.yml@refs/heads/main",
    "ACME/infra/.github/workflows/deploy.yml@refs/heads/main",
    "acme/infra/.github/workflows/deploy.yml@refs/heads/main ",
]


def _of_claims(issuer: TokenIssuer) -> Iterator[tuple[str, Claims]]:
    valid = {"iss": issuer.url, "aud": AUDIENCE, **workflow()}
    for claim in REQUIRED_CLAIMS:
        for what, value in mutations_of(str(valid[claim])).items():
            if (claim, what) not in STILL_VALID:
                yield f"{claim}: {what}", {claim: value}
    for claim, values in WRONG_VALUES.items():
        for value in values:
            yield f"{claim}: {str(value)[:60]!r}", {claim: value}
    for what, claims in SPOOFED.items():
        yield f"another repository that spoofs {what}", {**OTHER_REPOSITORY, **claims}
    yield "another owner's, after a transfer", {"repository_owner_id": "1666"}
    yield "another repository of the owner", {"repository_id": "2666"}
    for file in WRONG_WORKFLOW_FILES:
        yield f"workflow file: {str(file)[:60]!r}", {**REUSABLE, "job_workflow_ref": file}


# -- Headers and signatures ----------------------------------------------------------------------------------------------


def _of_signatures(issuer: TokenIssuer) -> Iterator[tuple[str, str]]:
    valid = issuer.token(workflow())
    head, payload, signature = valid.split(".")
    claims = _decoded(payload)
    unknown_key = _UnknownKey()
    for alg in ("none", "None", "NONE", "nOnE", "", "RS256"):
        yield f"alg {alg!r} without a signature", f"{_part({**HEADER, 'alg': alg})}.{payload}."
        yield f"alg {alg!r} with another's", f"{_part({**HEADER, 'alg': alg})}.{payload}.{unknown_key.sign(payload)}"
    for what, key in (("public key", issuer_public_key(issuer)), ("empty key", b""), ("key's id", KEY_ID.encode())):
        for alg, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):
            text = f"{_part({**HEADER, 'alg': alg})}.{payload}"
            yield f"{alg} with the {what}", f"{text}.{_encoded(hmac.new(key, text.encode(), digest).digest())}"
    yield "signed by another key", unknown_key.token(HEADER, claims)
    for kid in (None, "", "local-2", KEY_ID.upper(), "../../../dev/null", "' OR 1=1 --", [KEY_ID], 1, "x" * 2000):
        header = {name: value for name, value in {**HEADER, "kid": kid}.items() if value is not None}
        yield f"key's id {str(kid)[:20]!r}", issuer.signed(header, claims)
        yield f"another key that is called {str(kid)[:20]!r}", unknown_key.token(header, claims)
    for name, value in (
        ("jwk", unknown_key.public),
        ("jku", "http://127.0.0.1:1/jwks"),
        ("x5u", "http://127.0.0.1:1/x"),
        ("x5c", ["MIIB"]),
        ("crit", ["exp"]),
    ):
        yield f"another key, brought along as {name}", unknown_key.token({**HEADER, name: value}, claims)
    yield "without a signature", f"{head}.{payload}"
    yield "with an empty one", f"{head}.{payload}."
    yield "with half of one", f"{valid[: -len(signature) // 2]}"
    yield "with a changed one", f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "with another token's", f"{head}.{payload}.{issuer.token(workflow(run_id='2')).rpartition('.')[2]}"
    yield (
        "another repository's claims under a valid signature",
        f"{head}.{_part({**json.loads(claims), **OTHER_REPOSITORY})}.{signature}",
    )
    yield "a part too many", f"{valid}.{signature}"
    yield "five parts, as if encrypted", f"{head}.{head}.{head}.{payload}.{signature}"
    yield "only dots", ".."
    yield "nothing", ""
    yield "no token", "token"
    yield "a null", "null"
    yield "its payload alone", payload
    yield "in quotation marks", f'"{valid}"'
    yield "twice", f"{valid},{valid}"
    yield "not base64", f"{head}.{payload[:-4]}%%%%.{signature}"
    yield "not JSON", issuer.signed(HEADER, b"{")
    yield "not text", issuer.signed(HEADER, b"\xff\xfe")
    for claim, wrong in (
        ("repository_id", "2666"),
        ("repository_owner_id", "1666"),
        ("ref", "refs/tags/v1"),
        ("event_name", "pull_request_target"),
        ("aud", "another"),
        ("iss", "https://evil.example"),
        ("exp", 1),
    ):
        twice = claims[:-1] + f", {json.dumps(claim)}: {json.dumps(wrong)}}}".encode()
        yield f"{claim} twice, the last one wrong", issuer.signed(HEADER, twice)


def issuer_public_key(issuer: TokenIssuer) -> bytes:
    key = serialization.load_pem_private_key(issuer.private_key.encode(), None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class _UnknownKey:
    """A key that the issuer does not have."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        self.public = {"kty": "RSA", "n": _encoded(numbers.n.to_bytes(256, "big")), "e": "AQAB", "kid": KEY_ID}

    def sign(self, text: str) -> str:
        return _encoded(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def token(self, header: Claims, claims: bytes) -> str:
        text = f"{_part(header)}.{_encoded(claims)}"
        return f"{text}.{self.sign(text)}"


def wrong_tokens(issuer: TokenIssuer) -> dict[str, str]:
    """Tokens that must be refused, by what is wrong with them."""
    found = dict(_of_signatures(issuer))
    for what, changes in _of_claims(issuer):
        given = {**workflow(), **changes}
        missing = [name for name, value in given.items() if value is MISSING]
        found[what] = _without(issuer, given, missing)
    return found


def _without(issuer: TokenIssuer, claims: Claims, missing: Iterable[str]) -> str:
    now = int(time.time())
    whole = {"iss": issuer.url, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, **claims}
    for name in missing:
        del whole[name]
    return issuer.signed(HEADER, json.dumps(whole).encode())


# -- Signatures of AWS ---------------------------------------------------------------------------------------------------

Signer = Callable[[str, str, bytes], Mapping[str, str]]
"""Makes a request's headers from its method, URL and body."""


@dataclass(frozen=True)
class Signed:
    """Signs requests with AWS credentials, correctly or with one of these deviations."""

    access_key: str
    secret_key: str
    token: str | None = None
    shift: timedelta = timedelta(0)
    method: str | None = None
    path: str = ""
    body: bytes | None = None
    changed: Callable[[str], str] = str

    def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        request = AWSRequest(self.method or method, url + self.path, {}, body if self.body is None else self.body)
        signer = SigV4Auth(Credentials(self.access_key, self.secret_key, self.token), "execute-api", REGION)
        # As `add_auth` does it, but with another time.
        request.context["timestamp"] = (datetime.now(UTC) + self.shift).strftime(SIGV4_TIMESTAMP)
        signer._modify_request_before_signing(request)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        signer._inject_signature_to_request(request, signer.signature(text, request))
        headers = dict(request.headers.items())
        return {**headers, "Authorization": self.changed(headers["Authorization"])}


def wrong_signers(platform: Platform) -> dict[str, Signer]:
    """Signers whose requests must be refused, by what is wrong with them.

    A signature for another service or region is missing here: AWS refuses it, but the emulated gateway does not check it.
    """
    cloud = platform.cloud
    alice, bob, nobody = (cloud.identity(name) for name in ("alice", "bob", "nobody"))
    key, secret = alice.access_key, alice.secret_key

    def with_header(authorization: str) -> Signer:
        return lambda method, url, body: {"Authorization": authorization}

    signatures = {
        "no permission": Signed(nobody.access_key, nobody.secret_key),
        "wrong secret": Signed(key, "a" * 40),
        "another's secret": Signed(key, bob.secret_key),
        "empty secret": Signed(key, ""),
        "unknown key": Signed("AKIAIOSFODNN7EXAMPLE", secret),
        "temporary key that was never issued": Signed("ASIAIOSFODNN7EXAMPLE", secret, "token"),
        "too old": Signed(key, secret, shift=timedelta(minutes=-16)),
        "a day old": Signed(key, secret, shift=timedelta(days=-1)),
        "from the future": Signed(key, secret, shift=timedelta(minutes=16)),
        "of another method": Signed(key, secret, method="HEAD"),
        "of another path": Signed(key, secret, path="x"),
        "of another query": Signed(key, secret, path="?force=true"),
        "cut off": Signed(key, secret, changed=lambda text: text[:-10]),
        "changed": Signed(key, secret, changed=lambda text: text[:-8] + "00000000"),
        "another's key before it": Signed(key, secret, changed=lambda text: text.replace(key, bob.access_key)),
        "another algorithm": Signed(key, secret, changed=lambda text: text.replace("SHA256", "SHA1", 1)),
    }
    headers = {
        "unsigned": "",
        "basic": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode(),
        "a workflow's token": f"Bearer {cloud.tokens.token(workflow())}",
        "no signature": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-west-2/execute-api/aws4_request",
        "nonsense": "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        "an ARN": alice.user_arn,
    }
    return {**signatures, **{what: with_header(text) for what, text in headers.items()}}


def _part(value: Any) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

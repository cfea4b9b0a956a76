"""Hooks that adapt Schemathesis to this API: signatures, ids of environments that exist, valid cursors.

The rule: hooks make requests more useful and never weaken a check. The `FUZZ_…` variables are set by `test_api_fuzz`.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import strategies
from schemathesis.specs.openapi.checks import use_after_free

ID = re.compile(r"[a-z][a-z0-9-]{1,22}[a-z0-9]")
SCRATCH = os.environ["FUZZ_SCRATCH"].split(",")
PREPARED = os.environ["FUZZ_PREPARED"].split(",")
COUNTS: Counter[str] = Counter()


class Signed(requests.auth.AuthBase):
    """Signs the final request, after all other parts were generated."""

    def __init__(self) -> None:
        self._credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])

    def __call__(self, sent: requests.PreparedRequest) -> requests.PreparedRequest:
        request = AWSRequest(sent.method, sent.url, {}, sent.body or b"")
        SigV4Auth(self._credentials, "execute-api", os.environ["AWS_REGION"]).add_auth(request)
        sent.headers.update(dict(request.headers.items()))
        return sent


schemathesis.auth.set_from_requests(Signed())
# A cursor is valid only where it came from: `[0, null]` is the beginning of a listing, and the end of all events.
schemathesis.openapi.format("cursor", strategies.just("WzAsIG51bGxd"))


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Replace valid ids by those of a few environments, so that most requests find one.

    Requests that could change a prepared environment get the other ids only.
    """
    value = (path_parameters or {}).get("environment_id")
    if path_parameters and isinstance(value, str) and ID.fullmatch(value):
        known = SCRATCH + PREPARED if context.operation.method.upper() in {"GET", "POST"} else SCRATCH
        return {**path_parameters, "environment_id": known[zlib.crc32(value.encode()) % len(known)]}
    return path_parameters


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Give new environments a common prefix, so that they can be deleted afterwards."""
    if isinstance(body, dict) and isinstance(body.get("id"), str) and ID.fullmatch(body["id"]):
        return {**body, "id": f"fuzz-{body['id'][:19].rstrip('-')}"}
    return body


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Shorten long polls, as nothing changes while workers are off."""
    if case.query and str(case.query.get("wait")) in {str(seconds) for seconds in range(2, 21)}:
        case.query = {**case.query, "wait": 1}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    kind = response.headers.get("content-type", ["none"])[0].partition(";")[0]
    COUNTS[f"{case.operation.label} {response.status_code} {kind}"] += 1


@schemathesis.check
def removed_stays_removed(ctx: Any, response: Any, case: Any) -> bool | None:
    """`use_after_free` for this API: a removed environment is still shown, as destroying or destroyed, never as active."""
    try:
        return use_after_free(ctx, response, case)
    except AssertionError:
        record = response.json()
        if "status" in record and record["status"] not in {"destroying", "destroyed"}:
            raise
    return None


@atexit.register
def write_counts() -> None:
    Path(os.environ["FUZZ_COUNTS"]).write_text(json.dumps(COUNTS))

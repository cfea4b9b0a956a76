"""ministack with one more endpoint, by which the App Runner emulator asks whether a request's signer has a permission.

Rules: identities, the check of signatures and the evaluation of policies are ministack's own (version 1.5.33), so that a role is
the same everywhere in the local cloud; only policy variables, which it lacks, are filled in here. Run by its path, not as a
module: ministack's process must not have this project's folder on its search path, which its functions would inherit.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import ministack.app as ministack
from ministack.core import iam_actions, iam_evaluator, responses, router

PATH = "/_localcloud/iam"
_VARIABLE = re.compile(r"\$\{([^}]+)\}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Refusal = dict[str, Any]


def with_iam_endpoint(inner: Application) -> Application:
    """The same ASGI application, which also answers questions at PATH: a refusal, or null."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await inner(scope, receive, send)
            return
        answer = json.dumps(refusal(json.loads(await _read(receive)))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return application


def refusal(question: Mapping[str, Any]) -> Refusal | None:
    """Why the request is refused (code, message, HTTP status), None if it is not.

    A question is a request as it arrived (`method`, `path`, `headers` as pairs, `body` in base64) and `checks`: each an action,
    the ARN of a resource and the condition keys that the request brings. The first check that fails counts.
    """
    headers = {name.lower(): value for name, value in question["headers"]}
    key = router.extract_access_key_id(headers, {})
    responses.set_request_account_id(iam_evaluator.find_iam_access_key_account(key) or key)
    responses.set_request_region(router.extract_region(headers, {}))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in question["headers"]]
    iam_evaluator.pin_signed_request(question["method"], question["path"], {}, raw)
    iam_evaluator.pin_signed_body(base64.b64decode(question["body"]))
    failure = iam_evaluator.check_credentials(key)
    if failure:
        return _not_authenticated(failure, headers)
    principal = iam_evaluator.resolve_principal(key, responses.get_account_id())
    if isinstance(principal, iam_evaluator.AuthError):
        return _not_authenticated(principal, headers)
    if principal.policies is None:  # the account's root
        return None
    return next(filter(None, (_denied(principal, check) for check in question["checks"])), None)


def _denied(principal: Any, check: Mapping[str, Any]) -> Refusal | None:
    context = {name.lower(): value for name, value in check["context"].items()}
    request = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=check["action"],
        resource_arn=check["resource"],
        region=responses.get_region(),
        # None where it is missing: the evaluator's own default is an empty list of keys.
        service_context={"aws:tagkeys": None, **context},
        principal_keys=principal.keys,
    )
    values = {**principal.keys, **context}
    layers = [_filled_in(layer, values) for layer in (principal.policies, *principal.limits)]
    result = iam_evaluator.evaluate(request, *layers)
    if result.decision == "Allow":
        return None
    message = iam_actions.identity_denial_message(
        check["action"], principal.arn, check["resource"], result.decision == "Deny"
    )
    return {"code": "AccessDeniedException", "message": message, "status": 400}


def _filled_in(policies: Iterable[Iterable[Any]], values: Mapping[str, Any]) -> list[list[Any]]:
    """The policies with values for `${…}` in resources and conditions; a variable without a value stays as it is."""

    def fill(text: Any) -> Any:
        if isinstance(text, str):
            return _VARIABLE.sub(lambda found: str(values.get(found[1].lower(), found[0])), text)
        if isinstance(text, list):
            return [fill(each) for each in text]
        return {name: fill(each) for name, each in text.items()} if isinstance(text, dict) else text

    fields = ("resources", "not_resources", "conditions")
    return [
        [dataclasses.replace(each, **{name: fill(getattr(each, name)) for name in fields}) for each in statements]
        for statements in policies
    ]


def _not_authenticated(failure: Any, headers: Mapping[str, str]) -> Refusal:
    """The refusal in AWS's JSON protocol, as ministack words it for its own services."""
    status, _, body = iam_actions.access_denied_response(
        "apprunner", "", "", "", error_code=failure.code, message=failure.message, headers=dict(headers)
    )
    answer = json.loads(body)
    return {"code": answer["__type"], "message": answer.get("message") or answer.get("Message"), "status": status}


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


if __name__ == "__main__":
    ministack.app = with_iam_endpoint(ministack.app)
    ministack.main()

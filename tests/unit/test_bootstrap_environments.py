"""A teardown finds the platform's services, destroys its environments and waits for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.commands.environments import destroy_all, services
from bootstrap.errors import AccountError, BootstrapError, Interrupted
from bootstrap.names import Names


class FakeAppRunner:
    """An account's services by name, with their tags; None for one that is deleted meanwhile. A page has two services.

    It is session and client in one.
    """

    def __init__(self, tags: Mapping[str, Mapping[str, str] | None]) -> None:
        self._tags = tags

    def client(self, _service: str) -> FakeAppRunner:
        return self

    def list_services(self, NextToken: str = "0") -> dict[str, Any]:
        start, names = int(NextToken), list(self._tags)
        page = [{"ServiceName": name, "ServiceArn": f"arn/{name}"} for name in names[start : start + 2]]
        return {"ServiceSummaryList": page} | ({"NextToken": str(start + 2)} if names[start + 2 :] else {})

    def list_tags_for_resource(self, ResourceArn: str) -> dict[str, Any]:
        tags = self._tags[ResourceArn.removeprefix("arn/")]
        if tags is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "ListTagsForResource")
        return {"Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}


def test_services_belong_to_the_platform_by_tag_whatever_their_names() -> None:
    ours, theirs = {"fibfactory:platform": "x"}, {"fibfactory:platform": "y"}
    account = FakeAppRunner(
        {"new-a": ours, "fib-app-b": theirs, "shop": {}, "gone": None, "older-prefix-c": {"team": "t", **ours}}
    )
    assert services(account, Names("x", "aws", "us-west-2", "000000000000")) == ["new-a", "older-prefix-c"]


class FakeApi:
    """A platform's API, whose environments take on their next status at each read."""

    def __init__(self, lives: Mapping[str, Iterable[Mapping[str, Any]]], *, operator: bool = True) -> None:
        self._lives = {name: [dict(record) for record in life] for name, life in lives.items()}
        self._operator = operator
        self.removed: list[str] = []

    def check_operator(self) -> None:
        if not self._operator:
            raise AccountError("You are not an operator.")

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        self.removed.append(environment_id)
        return {"status": "destroying"}

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        life = self._lives[environment_id]
        return life.pop(0) if len(life) > 1 else life[0]

    def statuses(self) -> Mapping[str, str]:
        # The listing lags: it shows a status of long ago.
        return dict.fromkeys(self._lives, "ready")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


DESTROYING, DESTROYED = {"status": "destroying"}, {"status": "destroyed"}
FAILED = {"status": "failed", "error": {"code": "needs_operator", "message": "A thing is left."}}


def destroy(api: FakeApi, *environment_ids: str) -> list[str]:
    clock, lines = Clock(), list[str]()
    destroy_all(api, environment_ids, lines.append, sleep=clock.sleep, clock=clock)
    return lines


def test_each_environment_is_awaited_even_if_the_listing_lags() -> None:
    api = FakeApi({"one": [DESTROYING, DESTROYING, DESTROYED], "two": [DESTROYED]})
    lines = destroy(api, "one", "two")
    assert api.removed == ["one", "two"]
    assert [line.split(" (")[0] for line in lines] == [
        *("~ one destroying", "~ two destroying"),
        *("- two destroyed", "- one destroyed"),
    ]
    assert "0 to go" in lines[-1]


def test_a_failed_environment_is_named_with_its_reason_after_all_others_ended() -> None:
    api = FakeApi({"one": [FAILED], "two": [DESTROYING, DESTROYING, DESTROYED]})
    with pytest.raises(
        BootstrapError, match=r"1 of the environments .*: one: needs_operator: A thing is left\."
    ) as caught:
        destroy(api, "one", "two")
    assert "nothing else was changed" in caught.value.advice


def test_an_environment_that_was_requested_again_is_named() -> None:
    with pytest.raises(BootstrapError, match="one: it is pending, so somebody requested it again"):
        destroy(FakeApi({"one": [{"status": "pending"}]}), "one")


def test_waiting_for_an_environment_has_a_time_limit() -> None:
    with pytest.raises(BootstrapError, match="one: it is still destroying"):
        destroy(FakeApi({"one": [DESTROYING]}), "one")


def test_a_caller_who_is_no_operator_removes_nothing() -> None:
    api = FakeApi({"one": [DESTROYED]}, operator=False)
    with pytest.raises(AccountError):
        destroy(api, "one")
    assert api.removed == []


def test_an_interruption_says_that_the_platform_continues_to_destroy() -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="continues to destroy"):
        destroy_all(FakeApi({"one": [DESTROYING]}), ["one"], print, sleep=interrupted)

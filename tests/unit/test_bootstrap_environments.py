"""What is alive on a platform is found; and destroyed, each is asked for, waited for, and accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from bootstrap.commands.environments import destroy_all, services
from bootstrap.errors import AccountError, BootstrapError, Interrupted
from bootstrap.names import Names


class FakeAppRunner:
    """An account whose services, by name, have these tags; a page has two. One without tags went while it was looked at.

    It is session and client in one.
    """

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

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
            raise self.exceptions.ResourceNotFoundException
        return {"Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}


def test_services_are_the_platforms_by_their_tag_whatever_their_names_begin_with() -> None:
    ours, theirs = {"fibfactory:platform": "x"}, {"fibfactory:platform": "y"}
    account = FakeAppRunner(
        {"new-a": ours, "fib-app-b": theirs, "shop": {}, "gone": None, "older-prefix-c": {"team": "t", **ours}}
    )
    assert services(account, Names("x", "aws", "us-west-2", "000000000000")) == ["new-a", "older-prefix-c"]


class FakeApi:
    """A platform's API whose environments take on one status after another, each time one of them is asked for."""

    def __init__(self, lives: Mapping[str, Iterable[Mapping[str, Any]]], *, operator: bool = True) -> None:
        self._lives = {name: [dict(record) for record in life] for name, life in lives.items()}
        self._operator = operator
        self.removed: list[str] = []

    def check_operator(self) -> None:
        if not self._operator:
            raise AccountError("You are none.")

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        self.removed.append(environment_id)
        return {"status": "destroying"}

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        life = self._lives[environment_id]
        return life.pop(0) if len(life) > 1 else life[0]

    def statuses(self) -> Mapping[str, str]:
        # The list is as late as a list may be: it shows what is long over.
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


def test_each_is_waited_for_until_it_is_gone_whatever_a_late_list_says() -> None:
    api = FakeApi({"one": [DESTROYING, DESTROYING, DESTROYED], "two": [DESTROYED]})
    lines = destroy(api, "one", "two")
    assert api.removed == ["one", "two"]
    assert [line.split(" (")[0] for line in lines] == [
        *("~ one destroying", "~ two destroying"),
        *("- two destroyed", "- one destroyed"),
    ]
    assert "0 to go" in lines[-1]


def test_one_that_fails_is_named_with_its_reason_once_all_others_are_over() -> None:
    api = FakeApi({"one": [FAILED], "two": [DESTROYING, DESTROYING, DESTROYED]})
    with pytest.raises(
        BootstrapError, match=r"1 of the environments .*: one: needs_operator: A thing is left\."
    ) as caught:
        destroy(api, "one", "two")
    assert "nothing else was changed" in caught.value.advice


def test_one_that_somebody_asked_for_again_is_named() -> None:
    with pytest.raises(BootstrapError, match="one: it is pending, so somebody requested it again"):
        destroy(FakeApi({"one": [{"status": "pending"}]}), "one")


def test_one_that_never_ends_is_given_up_some_time() -> None:
    with pytest.raises(BootstrapError, match="one: it is still destroying"):
        destroy(FakeApi({"one": [DESTROYING]}), "one")


def test_who_is_no_operator_asks_for_no_end() -> None:
    api = FakeApi({"one": [DESTROYED]}, operator=False)
    with pytest.raises(AccountError):
        destroy(api, "one")
    assert api.removed == []


def test_a_stop_says_that_the_environments_go_on_being_destroyed() -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="continues to destroy"):
        destroy_all(FakeApi({"one": [DESTROYING]}), ["one"], print, sleep=interrupted)

"""When a bucket's configuration is as it must be: AWS may say more than what is wanted, never less."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.foundations.state_bucket import covers


@pytest.mark.parametrize(
    ("actual", "wanted"),
    [
        ("Enabled", "Enabled"),
        ({"a": 1, "added by AWS": 2}, {"a": 1}),
        ([{"ID": "theirs"}, {"ID": "ours", "more": 1}], [{"ID": "ours"}]),
        ([2, 1], [1, 2]),
        ({"Filter": {}}, {"Filter": {"Prefix": ""}}),
        ({"Filter": {"Prefix": ""}}, {"Filter": {"Prefix": ""}}),
        (
            {"Rules": [{"Encrypt": {"Algorithm": "aws:kms", "New": "x"}}]},
            {"Rules": [{"Encrypt": {"Algorithm": "aws:kms"}}]},
        ),
    ],
)
def test_all_that_is_wanted_is_there(actual: Any, wanted: Any) -> None:
    assert covers(actual, wanted)


@pytest.mark.parametrize(
    ("actual", "wanted"),
    [
        (None, "Enabled"),
        ("Suspended", "Enabled"),
        (False, True),
        (None, {"a": True}),
        ({"a": False}, {"a": True}),
        ({}, {"a": True}),
        (None, [{"ID": "ours"}]),
        ([{"ID": "ours", "Days": 1}], [{"ID": "ours", "Days": 2}]),
        ({"Filter": {"Prefix": "only/this/"}}, {"Filter": {"Prefix": ""}}),
    ],
)
def test_something_that_is_wanted_is_missing(actual: Any, wanted: Any) -> None:
    assert not covers(actual, wanted)

"""A property is as wanted when AWS shows all of what is wanted, and possibly more."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.foundations.properties import covers


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
def test_a_configuration_that_contains_all_of_what_is_wanted_is_accepted(actual: Any, wanted: Any) -> None:
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
def test_a_configuration_that_lacks_something_is_not_accepted(actual: Any, wanted: Any) -> None:
    assert not covers(actual, wanted)

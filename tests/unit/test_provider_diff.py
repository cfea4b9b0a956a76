"""What changed between two states of a resource."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.provider.archive import ARCHIVE
from localcloud.provider.diff import Change, changes, project, same, union
from localcloud.provider.property_values import SIGNATURE, UNKNOWN


def archive(digest: str) -> dict[str, Any]:
    return {SIGNATURE: ARCHIVE, "hash": digest, "assets": {digest: {}}}


def test_equal_properties_have_no_changes() -> None:
    state = {"a": 1, "b": {"c": [1, {"d": "x"}]}, "code": archive("one")}
    assert changes(state, dict(state)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, Change("a", "update")),
        ({}, {"a": {"b": 1}}, Change("a", "add")),
        ({"a": {"b": 1}}, {"a": {}}, Change("a.b", "delete")),
        ({"a": [1, 2]}, {"a": [1]}, Change("a[1]", "delete")),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, Change("a[0].b", "update")),
        ({"tags": {"x:y": "1"}}, {"tags": {"x:y": "2"}}, Change('tags["x:y"]', "update")),
        ({"code": archive("one")}, {"code": archive("two")}, Change("code", "update")),
        ({"a": "known"}, {"a": UNKNOWN}, Change("a", "update")),
        ({"a": "text"}, {"a": {"b": 1}}, Change("a", "update")),
    ],
)
def test_a_change_has_the_path_and_the_kind_of_what_differs(
    old: dict[str, Any], new: dict[str, Any], expected: Change
) -> None:
    assert changes(old, new) == [expected]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": {}}, {}),
        ({}, {"a": []}),
        ({"policy": '{"a": [1, 2]}'}, {"policy": '{"a":[1,2]}'}),
        ({"n": 30}, {"n": 30.0}),
        ({"__defaults": ["name"]}, {"__defaults": []}),
        ({"code": archive("one")}, {"code": {SIGNATURE: ARCHIVE, "hash": "one", "path": "elsewhere"}}),
    ],
)
def test_values_with_the_same_meaning_are_no_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert changes(old, new) == []


def test_texts_that_only_look_like_json_are_compared_as_texts() -> None:
    assert not same("{a", "{ a")
    assert not same("[1", "[2")


def test_a_change_inside_a_property_that_cannot_change_in_place_is_a_replacement() -> None:
    found = changes({"a": {"b": 1}, "ab": 1}, {"a": {"b": 2}, "ab": 2}, replace_on={"a"})
    assert found == [Change("a.b", "update", replaces=True), Change("ab", "update", replaces=False)]
    assert changes({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, replace_on={"a.b"})[0].replaces is False
    assert changes({"a": [1]}, {"a": [2]}, replace_on={"a"})[0].replaces is True


def test_the_root_of_a_path_is_the_input_it_begins_with() -> None:
    assert [Change(path, "add").root for path in ("a.b", "a[0]", 'a["x.y"]', "a")] == ["a"] * 4


def test_live_properties_are_cut_to_those_that_a_program_gives() -> None:
    live = {"a": {"b": 1, "computed": 2}, "items": [{"x": 1, "id": 7}], "other": 3}
    assert project(live, {"a": {"b": 0}, "items": [{"x": 0}]}) == {"a": {"b": 1}, "items": [{"x": 1}]}
    assert project([1, 2], [1]) == [1, 2]
    assert project({"a": 1}, {"b": 1}) == {}


def test_the_shape_of_two_programs_has_the_properties_of_both() -> None:
    assert union({"a": {"b": 1}}, {"a": {"c": 2}, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}

"""TTLs and environment ids are checked where they come in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import names
from orchestrator.domain.errors import BadRequest
from orchestrator.domain.ttl import format_ttl, parse_ttl


@pytest.mark.parametrize(
    ("text", "ttl"),
    [
        ("12h", timedelta(hours=12)),
        ("7d12h", timedelta(days=7, hours=12)),
        ("90s", timedelta(seconds=90)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    ],
)
def test_a_ttl_is_days_hours_minutes_and_seconds(text: str, ttl: timedelta) -> None:
    assert parse_ttl(text, allow_never=False) == ttl


@pytest.mark.parametrize("text", ["", "0h", "12", "h", "-1h", "1h1d", "1.5h", "12H", " 12h", "1w", "never", "٣h"])
def test_a_malformed_ttl_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadRequest, match="12h") as refusal:
        parse_ttl(text, allow_never=False)
    assert refusal.value.code == "bad_ttl"


def test_never_is_accepted_where_the_platform_allows_it() -> None:
    assert parse_ttl("never", allow_never=True) is None


@given(st.integers(min_value=1, max_value=99999 * 86400))
def test_a_ttl_reads_back_as_it_was_written(seconds: int) -> None:
    ttl = timedelta(seconds=seconds)
    assert parse_ttl(format_ttl(ttl), allow_never=False) == ttl


@pytest.mark.parametrize("name", ["abc", "test1", "a" * 24, "pr-12-fix"])
def test_a_valid_id_fits_into_every_name(name: str) -> None:
    assert names.check_id(name) == name
    assert len(names.service_name("fib-app", name)) <= 40


@pytest.mark.parametrize("name", ["", "ab", "a" * 25, "-abc", "abc-", "1abc", "Abc", "a_b", "a.b", "abc\n", "ábc"])
def test_an_invalid_id_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        names.check_id(name)
    assert refusal.value.code == "bad_id"

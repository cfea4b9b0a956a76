"""The numbers that fibservice computes, and its errors for everything else."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fibservice.fibonacci import MAX_DIGITS, MAX_N, InvalidIndex, fibonacci, parse_index


def test_the_first_numbers_are_right() -> None:
    assert [fibonacci(n) for n in range(11)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]


def test_the_20th_number_is_6765() -> None:
    assert fibonacci(20) == 6765


def test_each_of_the_first_3000_numbers_is_the_sum_of_the_previous_two() -> None:
    before, current = 0, 1
    for n in range(1, 3_000):
        assert fibonacci(n) == current
        before, current = current, before + current


@given(st.integers(min_value=1, max_value=MAX_N - 1))
def test_neighbouring_numbers_satisfy_cassinis_identity(n: int) -> None:
    assert fibonacci(n - 1) * fibonacci(n + 1) - fibonacci(n) ** 2 == (-1) ** n


def test_the_common_divisor_of_large_numbers_is_a_fibonacci_number() -> None:
    assert math.gcd(fibonacci(MAX_N), fibonacci(MAX_N - 10_000)) == fibonacci(math.gcd(MAX_N, MAX_N - 10_000))


def test_the_longest_answer_has_as_many_digits_as_documented() -> None:
    # Decimal writes long numbers under any limit on digits.
    assert len(str(Decimal(fibonacci(MAX_N)))) == MAX_DIGITS


@given(st.integers(min_value=0, max_value=MAX_N), st.integers(min_value=0, max_value=50))
def test_every_n_within_the_limit_is_read_with_or_without_leading_zeros(n: int, zeros: int) -> None:
    assert parse_index("0" * zeros + str(n)) == n


@given(st.integers(min_value=1))
def test_a_negative_n_is_refused_as_negative(n: int) -> None:
    with pytest.raises(InvalidIndex, match="negative"):
        parse_index(f"-{n}")


@given(st.integers(min_value=MAX_N + 1))
def test_an_n_beyond_the_limit_is_refused_with_the_limit(n: int) -> None:
    with pytest.raises(InvalidIndex, match="at most 50000"):
        parse_index(str(n))


@pytest.mark.parametrize("digits", [4_301, 1_000_000])
def test_an_n_longer_than_python_reads_as_a_number_is_refused_with_the_limit(digits: int) -> None:
    with pytest.raises(InvalidIndex, match="at most 50000"):
        parse_index("9" * digits)


@pytest.mark.parametrize("text", ["-0", "0", "000"])
def test_zero_is_zero_however_it_is_written(text: str) -> None:
    assert parse_index(text) == 0


@pytest.mark.parametrize(
    "text", ["abc", "1.5", "1e3", "+5", " 5", "5 ", "5\n", "1_000", "0x10", "٣", "²", "\uff15", "--5", "-"]
)
def test_anything_but_ascii_digits_is_refused_as_not_a_whole_number(text: str) -> None:
    with pytest.raises(InvalidIndex, match="whole number"):
        parse_index(text)


def test_an_empty_n_is_refused_as_missing() -> None:
    with pytest.raises(InvalidIndex, match="missing"):
        parse_index("")


@given(st.text())
def test_any_text_is_a_number_within_the_limit_or_refused_with_a_reason(text: str) -> None:
    try:
        assert 0 <= parse_index(text) <= MAX_N
    except InvalidIndex as refused:
        assert str(refused)

"""Exact Fibonacci numbers for any n up to `MAX_N`.

The rule: input is checked as text first, so that no input costs more time than reading it.
"""

from __future__ import annotations

import re

# The documented limit. F(50,000) has 10,450 digits: a response of 10 kB, computed in less than a millisecond.
MAX_N = 50_000
MAX_DIGITS = 10_450

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


class InvalidIndex(ValueError):
    """The text is not an n that this service accepts; the message is the reason."""


def parse_index(text: str) -> int:
    """Read n, 0 to `MAX_N`, from a path segment of ASCII digits. Raises `InvalidIndex` with the reason.

    Python's `int()` accepts more (signs, blanks, underscores, every script's digits) and refuses more than 4,300 digits.
    """
    if not text:
        raise InvalidIndex("n is missing: ask for /fib/<n>")
    if not _WHOLE_NUMBER.fullmatch(text):
        raise InvalidIndex("n must be a whole number in decimal digits")
    digits = text.lstrip("-").lstrip("0") or "0"
    if text.startswith("-") and digits != "0":
        raise InvalidIndex("n must not be negative")
    if len(digits) > len(str(MAX_N)) or int(digits) > MAX_N:
        raise InvalidIndex(f"n must be at most {MAX_N}")
    return int(digits)


def fibonacci(n: int) -> int:
    """F(n) with F(0)=0 and F(1)=1, for n ≥ 0, by fast doubling: log2(n) rounds, no recursion.

    From F(2k) = F(k)·(2·F(k+1) − F(k)) and F(2k+1) = F(k)² + F(k+1)².
    """
    current, following = 0, 1
    for bit in bin(n)[2:]:
        current, following = current * (2 * following - current), current * current + following * following
        if bit == "1":
            current, following = following, current + following
    return current

"""Fibonacci numbers, exact, for any n up to `MAX_N`; pure.

The rule kept: what a client sends is checked as text first, so that no input costs more than its length.
"""

from __future__ import annotations

import re

# The documented limit. F(50,000) has 10,450 digits: an answer of 10 kB, computed in well under a millisecond.
MAX_N = 50_000
MAX_DIGITS = 10_450

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


class InvalidIndex(ValueError):
    """The text is not an n this service answers; its message is the reason, for people."""


def parse_index(text: str) -> int:
    """Read n from a path segment: ASCII decimal digits only, 0 to `MAX_N`; else `InvalidIndex` with the reason.

    Python's own `int()` is wider (signs, blanks, underscores, every script's digits) and refuses over 4,300 digits.
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

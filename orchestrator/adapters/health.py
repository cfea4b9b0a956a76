"""The Health port: one GET of an environment's health path."""

from __future__ import annotations

import urllib3


class HttpHealth:
    """The Health port: 200 without a redirect within five seconds is healthy."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=5.0))

    def answers(self, url: str) -> str | None:
        try:
            answer = self._pool.request("GET", url, redirect=False, preload_content=False)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return f"could not be reached ({type(error).__name__})"
        return None if answer.status == 200 else f"answered {answer.status}"

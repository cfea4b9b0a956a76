"""Twenty environments requested at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fibfactory_cli.client import Client
from tests.e2e.story import LATEST, visit
from tools.platform_on_localcloud import Platform

NAMES = [f"many-{number:02d}" for number in range(20)]


def test_twenty_concurrent_environments_become_ready_and_are_destroyed_while_the_api_answers(
    alice: Client, platform: Platform
) -> None:
    with ThreadPoolExecutor(20) as callers:
        accepted = list(callers.map(lambda name: alice.call("PUT", f"/environments/{name}", {"image": LATEST}), NAMES))
        assert {answer.status for answer in accepted} == {202}
        following = [callers.submit(alice.follow, name, timeout_seconds=240) for name in NAMES]
        health_checks = 0
        while not all(future.done() for future in following):
            assert alice.call("GET", "/health").status == 200
            health_checks += 1
        records = [future.result() for future in following]
        assert [record["status"] for record in records] == ["ready"] * 20, [record["error"] for record in records]
        assert health_checks > 0
        urls = {record["url"] for record in records}
        assert len(urls) == 20
        assert {visit(f"{url}/fib/20") for url in urls} == {b'{"fib":6765,"n":20}\n'}
        listed = {record["id"] for record in alice.environments(limit=7)}
        assert listed >= set(NAMES)

        removed = list(callers.map(lambda name: alice.call("DELETE", f"/environments/{name}"), NAMES))
        assert {answer.status for answer in removed} == {202}
        tombstones = list(callers.map(lambda name: alice.follow(name, timeout_seconds=240), NAMES))
    assert [record["status"] for record in tombstones] == ["destroyed"] * 20, [record["error"] for record in tombstones]
    running = [
        each
        for each in platform.cloud.apprunner_admin.services()
        if each.name.startswith("fib-app-many-") and each.status != "DELETED"
    ]
    assert running == []

"""The HTTP API against a model of it: random requests of three callers get the responses and end states that the model predicts.

The rule: the model knows what was requested and by whom, never how it is carried out. The one thing it can't know is whether a
removal is finished; then both responses are right, and the model learns from the response.

CHAOS_EXAMPLES=10000 makes fifty sequences, each with new environments; CHAOS_OUT names a file that gets a line with the figures.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fibfactory_cli.client import Answer
from localcloud.apprunner.views import ServiceView
from tests.e2e.conftest import client_of
from tests.e2e.story import BROKEN, LATEST, V2, visit
from tests.figures import wanted_examples, write_figures
from tests.waiting import eventually
from tools.platform_on_localcloud import Platform

SEQUENCES = max(1, wanted_examples(600) // 200)
STEPS = 15
LIST_ATTEMPTS = 5
CALLERS = ("alice", "bob", "operator")
SETTLED = {"ready", "paused", "failed", "destroyed"}
FAILURE_CODES = {"create_failed", "rolled_back"}

# The operator, who may do everything, is in twice: so half of the requests are not refused.
callers = st.sampled_from((*CALLERS, "operator"))
names = st.sampled_from(("a", "b"))
requests = st.fixed_dictionaries(
    {"image": st.sampled_from((LATEST, LATEST, V2, BROKEN))},
    optional={
        "revision": st.sampled_from(("1", "2")),
        "labels": st.sampled_from(({}, {"team": "x"})),
        "protected": st.booleans(),
    },
)
changes = st.fixed_dictionaries(
    {}, optional={"ttl": st.just("6h"), "labels": st.sampled_from(({}, {"team": "y"})), "protected": st.booleans()}
)


@dataclass
class Expected:
    """What the model expects of an environment. `destroyed` is set only after a response has shown it."""

    owner: str
    incarnation: int
    spec: tuple[str, str | None]
    labels: dict[str, str] = field(default_factory=dict)
    protected: bool = False
    present: bool = True
    paused: bool = False
    destroyed: bool = False
    version: int = 0

    @property
    def final_status(self) -> str:
        if not self.present:
            return "destroyed"
        if self.spec[0] == BROKEN:
            return "failed"
        return "paused" if self.paused else "ready"


class World:
    """The platform, its callers, and the counters over all sequences."""

    def __init__(self, platform: Platform) -> None:
        self.apprunner = platform.cloud.apprunner_admin
        self.aws = platform.cloud.session("operator").client("apprunner")
        self.clients = {name: client_of(platform, name) for name in CALLERS}
        self.owners = {name: platform.cloud.identity(name).user_arn for name in CALLERS}
        self.sequences = itertools.count(time.time_ns() // 1_000_000 % 10**8)
        self.responses: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()

    def call(self, caller: str, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        answer = self.clients[caller].call(method, path, body, **more)
        self.responses[str(answer.status)] += 1
        assert answer.status < 500, (caller, method, path, answer.body)
        return answer


class ApiModel(RuleBasedStateMachine):
    """Two ids, three callers, and every kind of request."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"model-{next(self.world.sequences)}"
        self.expected: dict[str, Expected] = {}

    @initialize(request=requests, other=requests)
    def begin(self, request: dict[str, Any], other: dict[str, Any]) -> None:
        self.put("alice", "a", request)
        self.create("bob", "b", other)
        self.settle("a")

    # Requests.

    @rule(caller=callers, name=names, request=requests)
    def put(self, caller: str, name: str, request: dict[str, Any]) -> None:
        expected, before = self.expected.get(name), self.record(name)
        answer = self.call(caller, "PUT", name, request)
        if self.is_taken(answer, caller, expected):
            return
        assert answer.status in {200, 202}, answer.body
        record = answer.body
        if expected is None or expected.destroyed or record["incarnation"] > expected.incarnation:
            self.expect_new_incarnation(name, caller, record, request)
            return
        assert before is not None
        spec = _spec(request)
        if expected.present and not expected.paused and expected.spec == spec and spec[0] != BROKEN:
            assert record["generation"] == before["generation"], "the same request changes nothing"
        elif not (expected.present and expected.spec == spec):
            assert record["generation"] == before["generation"] + 1
        expected.spec, expected.present, expected.paused = spec, True, False
        self.apply_changes(expected, request)
        self.check_record(name, answer)

    @rule(caller=callers, name=names, request=requests)
    def create(self, caller: str, name: str, request: dict[str, Any]) -> None:
        expected = self.expected.get(name)
        answer = self.world.call(caller, "POST", "/environments", {"id": self.id_of(name), **request})
        if self.is_taken(answer, caller, expected):
            return
        if expected and not expected.destroyed and answer.status == 409:
            assert answer.body["code"] == "exists"
            return
        assert answer.status == 202, answer.body
        assert expected is None or not expected.present, "an active environment is never created again"
        self.expect_new_incarnation(name, caller, answer.body, request)

    @rule(caller=callers, name=names, change=changes)
    def patch(self, caller: str, name: str, change: dict[str, Any]) -> None:
        before = self.record(name)
        answer = self.call(caller, "PATCH", name, change)
        if self.is_hidden(answer, caller, name) or self.is_refused(answer, name, {"destroyed"}):
            return
        assert answer.status == 200 and before is not None, answer.body
        assert answer.body["generation"] == before["generation"], "a patch deploys nothing"
        self.apply_changes(self.expected[name], change)
        self.check_record(name, answer)

    @rule(caller=callers, name=names, force=st.booleans())
    def delete(self, caller: str, name: str, force: bool) -> None:
        answer = self.call(caller, "DELETE", name, query={"force": str(force).lower()})
        if self.is_hidden(answer, caller, name):
            return
        expected = self.expected[name]
        if expected.present and expected.protected and not force:
            assert (answer.status, answer.body["code"]) == (409, "protected")
            return
        assert answer.status == (200 if answer.body["status"] == "destroyed" else 202), answer.body
        expected.present = False
        self.check_record(name, answer)

    @rule(caller=callers, name=names)
    def pause(self, caller: str, name: str) -> None:
        self.set_paused(caller, name, paused=True)

    @rule(caller=callers, name=names)
    def resume(self, caller: str, name: str) -> None:
        self.set_paused(caller, name, paused=False)

    def set_paused(self, caller: str, name: str, *, paused: bool) -> None:
        before = self.record(name)
        answer = self.call(caller, "POST", name, below="pause" if paused else "resume")
        if self.is_hidden(answer, caller, name) or self.is_refused(answer, name, {"destroying", "destroyed"}):
            return
        expected = self.expected[name]
        assert answer.status in {200, 202} and before is not None, answer.body
        assert expected.present, "a removed environment can be neither paused nor resumed"
        if expected.spec[0] != BROKEN:
            assert answer.body["generation"] == before["generation"] + (expected.paused != paused)
        expected.paused = paused
        self.check_record(name, answer)

    @rule(caller=callers, name=names, ttl=st.sampled_from((None, "2h")))
    def revive(self, caller: str, name: str, ttl: str | None) -> None:
        answer = self.call(caller, "POST", name, ttl and {"ttl": ttl}, below="revive")
        if self.is_hidden(answer, caller, name):
            return
        expected = self.expected[name]
        if answer.status == 409:
            assert not expected.destroyed and answer.body["code"] == "exists", answer.body
            return
        assert answer.status == 202 and not expected.present, answer.body
        assert answer.body["incarnation"] == expected.incarnation + 1
        assert answer.body["ttl"] == ttl or ttl is None
        self.expected[name] = Expected(
            expected.owner,
            expected.incarnation + 1,
            expected.spec,
            expected.labels,
            expected.protected,
            version=expected.version,
        )
        self.check_record(name, answer)

    @rule(caller=callers, name=names, method=st.sampled_from(("PUT", "PATCH", "DELETE")))
    def send_an_if_match_that_never_matches(self, caller: str, name: str, method: str) -> None:
        body = {"PUT": {"image": V2}, "PATCH": {"protected": True}, "DELETE": None}[method]
        answer = self.call(caller, method, name, body, headers={"If-Match": '"0"'})
        expected = self.expected.get(name)
        if method != "PUT" and self.is_hidden(answer, caller, name):
            return
        assert answer.status == 412 or self.is_taken(answer, caller, expected), answer.body

    @rule(caller=callers, name=names)
    def read(self, caller: str, name: str) -> None:
        answer = self.call(caller, "GET", name)
        events = self.call(caller, "GET", name, below="events")
        if self.is_hidden(answer, caller, name):
            assert events.status == 404
            return
        self.check_record(name, answer)
        times = [event["at"] for event in events.checked().body["events"]]
        assert times == sorted(times) and times

    # Time.

    @rule(name=names)
    def wait(self, name: str) -> None:
        self.settle(name)

    @rule(name=names)
    def wait_as_well(self, name: str) -> None:
        """The same rule again, so that more requests meet settled environments."""
        self.settle(name)

    @rule(name=names)
    def expire(self, name: str) -> None:
        expected = self.expected[name]
        if not expected.present:
            return
        self.call(expected.owner, "PATCH", name, {"ttl": "1s"}).checked()
        time.sleep(1.1)
        self.run_sweep("light")
        if expected.protected:
            self.call(expected.owner, "PATCH", name, {"ttl": "6h"}).checked()
        else:
            expected.present = False
        self.settle(name)

    @rule(kind=st.sampled_from(("light", "deep")))
    def sweep(self, kind: str) -> None:
        """A sweep that finds no drift changes nothing."""
        self.run_sweep(kind)

    @rule(name=names)
    def pause_the_service_outside_the_api(self, name: str) -> None:
        """A deep sweep restores the drifted environment, but only reports a protected one."""
        expected = self.expected[name]
        if expected.final_status != "ready":
            return
        self.settle(name)
        self.world.aws.pause_service(ServiceArn=self.services(name)[0].arn)
        self.wait_until_service_is(name, "PAUSED")
        report = self.run_sweep("deep")
        (finding,) = [each for each in report["findings"] if each["environment"] == self.id_of(name)]
        assert (finding["kind"], finding["outcome"]) == (
            "drifted",
            "kept" if expected.protected else "dispatched",
        ), finding
        if expected.protected:
            self.world.aws.resume_service(ServiceArn=self.services(name)[0].arn)
            self.wait_until_service_is(name, "RUNNING")
        self.settle(name)

    # Invariants.

    @invariant()
    def each_environment_has_at_most_one_service(self) -> None:
        for name in self.expected:
            assert len(self.services(name)) <= 1

    @invariant()
    def each_caller_lists_exactly_the_environments_it_may_see(self) -> None:
        for caller in CALLERS:
            missing = {
                self.id_of(name) for name, each in self.expected.items() if each.present and self.sees(caller, each)
            }
            others = {self.id_of(name) for name, each in self.expected.items() if not self.sees(caller, each)}
            # A listing is read status by status: an environment whose status changes meanwhile can be missed once.
            for _ in range(LIST_ATTEMPTS):
                listed = {each["id"] for each in self.world.clients[caller].environments(limit=100)}
                assert not listed & others
                missing -= listed
                if not missing:
                    break
            assert not missing

    def teardown(self) -> None:
        for name in self.expected:
            self.call("operator", "DELETE", name, query={"force": "true"}).checked()
            self.expected[name].present = False
        for name in self.expected:
            self.settle(name)

    # Helpers.

    def id_of(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def wait_until_service_is(self, name: str, status: str) -> None:
        eventually(lambda: self.services(name)[0].status == status, f"the service of {name} to be {status}")

    def run_sweep(self, kind: str) -> Any:
        """Run a sweep and return its report; waits while another one is running."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            body = {"dry_run": False, "kind": kind}
            report = self.world.call("operator", "POST", "/sweeps", body).checked().body
            while report["status"] == "requested" and time.monotonic() < deadline:
                time.sleep(0.1)
                report = self.world.call("operator", "GET", f"/sweeps/{report['id']}").checked().body
            if report["status"] != "skipped":
                assert report["status"] == "done", report
                return report
            time.sleep(1)
        raise AssertionError("Waited a minute for a sweep.")

    def services(self, name: str) -> list[ServiceView]:
        """The environment's services in App Runner that are not deleted."""
        service = f"fib-app-{self.id_of(name)}-service"
        return [each for each in self.world.apprunner.services() if each.name == service and each.status != "DELETED"]

    def call(self, caller: str, method: str, name: str, body: Any = None, *, below: str = "", **more: Any) -> Answer:
        path = "/".join(filter(None, ("/environments", self.id_of(name), below)))
        return self.world.call(caller, method, path, body, **more)

    def record(self, name: str) -> Any:
        return self.call("operator", "GET", name).checked().body if name in self.expected else None

    def sees(self, caller: str, expected: Expected) -> bool:
        return caller in {expected.owner, "operator"}

    def is_taken(self, answer: Answer, caller: str, expected: Expected | None) -> bool:
        """Whether the request was refused because another owner's environment has the id."""
        if expected is None or expected.destroyed or self.sees(caller, expected) or answer.status == 202:
            # Accepted with another owner's id: then its removal must have been finished.
            assert answer.status != 202 or expected is None or self.sees(caller, expected) or not expected.present
            return False
        assert (answer.status, answer.body["code"]) == (409, "id_taken")
        assert answer.body.keys() == {"type", "title", "status", "detail", "code"}
        return True

    def is_hidden(self, answer: Answer, caller: str, name: str) -> bool:
        """Whether the caller may not see the environment: then the response is 404."""
        expected = self.expected.get(name)
        if expected and self.sees(caller, expected):
            return False
        assert (answer.status, answer.body["code"]) == (404, "not_found")
        return True

    def is_refused(self, answer: Answer, name: str, codes: set[str]) -> bool:
        """Whether the request was refused because the environment is being destroyed or is destroyed."""
        expected = self.expected[name]
        if answer.status != 409:
            assert not expected.destroyed
            return False
        assert not expected.present and answer.body["code"] in codes, answer.body
        expected.destroyed = answer.body["code"] == "destroyed"
        return True

    def expect_new_incarnation(self, name: str, caller: str, record: Any, request: dict[str, Any]) -> None:
        """Expect a new incarnation: the caller owns it, and only the counters continue from the previous one."""
        before = self.expected.get(name)
        assert before is None or (record["incarnation"] == before.incarnation + 1 and not before.present)
        assert record["owner"] == self.world.owners[caller]
        assert record["version"] > (before.version if before else 0)
        self.expected[name] = expected = Expected(
            caller, record["incarnation"], _spec(request), version=record["version"]
        )
        self.apply_changes(expected, request)
        assert (record["labels"], record["protected"]) == (expected.labels, expected.protected)

    def apply_changes(self, expected: Expected, request: dict[str, Any]) -> None:
        expected.labels = request.get("labels", expected.labels)
        expected.protected = request.get("protected", expected.protected)

    def check_record(self, name: str, answer: Answer) -> None:
        """Check a response with a record against the expected environment."""
        expected, record = self.expected[name], answer.body
        assert record["id"] == self.id_of(name)
        assert record["owner"] == self.world.owners[expected.owner]
        assert record["incarnation"] == expected.incarnation
        assert record["version"] >= expected.version, "versions grow"
        assert (record["spec"]["image"], record["spec"]["revision"]) == expected.spec
        assert (record["labels"], record["protected"]) == (expected.labels, expected.protected)
        assert answer.headers["ETag"] == f'"{record["version"]}"'
        expected.version = record["version"]
        if record["status"] == "destroyed":
            assert not expected.present and record["receipt"]["checked"]
            expected.destroyed = True

    def settle(self, name: str) -> None:
        """Wait until the environment is settled, and check its status and its services in App Runner."""
        expected = self.expected[name]
        deadline = time.monotonic() + 120
        answer = self.call("operator", "GET", name).checked()
        while answer.body["status"] not in SETTLED:
            assert time.monotonic() < deadline, answer.body
            query = {"wait": 5, "version": answer.body["version"]}
            answer = self.call("operator", "GET", name, query=query).checked()
        record = answer.body
        assert record["status"] == expected.final_status, (record["status"], expected, record["error"])
        self.check_record(name, answer)
        self.world.settled[expected.final_status] += 1
        statuses = [str(each.status) for each in self.services(name)]
        if expected.final_status == "ready":
            assert statuses == ["RUNNING"] and record["error"] is None
            assert visit(f"{record['url']}/fib/10") == b'{"fib":55,"n":10}\n'
        elif expected.final_status == "paused":
            assert statuses == ["PAUSED"]
        elif expected.final_status == "destroyed":
            assert statuses == [] and record["url"] is None
        else:
            assert record["error"]["code"] in FAILURE_CODES, record["error"]


def _spec(request: dict[str, Any]) -> tuple[str, str | None]:
    return request["image"], request.get("revision")


def test_the_api_behaves_as_the_model_predicts(platform: Platform) -> None:
    world = World(platform)
    long = "CHAOS_EXAMPLES" in os.environ
    started = time.monotonic()
    run_state_machine_as_test(
        type("OnThePlatform", (ApiModel,), {"world": world}),
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # The short form makes the same sequences each time. Shrinking is off: each attempt would take minutes.
            derandomize=not long,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    write_figures(
        "stateful model",
        {
            "sequences": SEQUENCES,
            "requests": world.responses.total(),
            "answers_5xx": sum(count for status, count in world.responses.items() if status.startswith("5")),
            "settled": dict(world.settled),
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    assert set(world.settled) >= {"ready", "destroyed"}

"""The HTTP API against a model of it: whatever three callers ask for in whatever order, it answers and ends as the model says.

The rule: the model knows what was asked for and by whom, never how it is done. What it can't know is only whether a removal is
over already; then both answers are right, and the answer tells which it was.

CHAOS_EXAMPLES=10000 makes fifty sequences, each of new environments; CHAOS_OUT names a file that gets a line of figures.
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
from tests.e2e.chaos import wanted_examples, write_figures
from tests.e2e.conftest import client_of
from tests.e2e.story import BROKEN, LATEST, V2, visit
from tools.platform_on_localcloud import Platform

SEQUENCES = max(1, wanted_examples(600) // 200)
STEPS = 15
LISTS = 5
CALLERS = ("alice", "bob", "operator")
STILL = {"ready", "paused", "failed", "destroyed"}
REASONS = {"create_failed", "rolled_back"}

# The operator may do everything, so that half of what is asked for is not refused.
callers = st.sampled_from((*CALLERS, "operator"))
names = st.sampled_from(("a", "b"))
wishes = st.fixed_dictionaries(
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
class Known:
    """What the model knows of an environment. `gone` is only said once an answer has shown it."""

    owner: str
    incarnation: int
    spec: tuple[str, str | None]
    labels: dict[str, str] = field(default_factory=dict)
    protected: bool = False
    present: bool = True
    paused: bool = False
    gone: bool = False
    version: int = 0

    @property
    def ends_as(self) -> str:
        if not self.present:
            return "destroyed"
        if self.spec[0] == BROKEN:
            return "failed"
        return "paused" if self.paused else "ready"


class World:
    """The platform, its callers, and what is counted over all sequences."""

    def __init__(self, platform: Platform) -> None:
        self.apprunner = platform.cloud.apprunner_admin
        self.aws = platform.cloud.session("operator").client("apprunner")
        self.clients = {name: client_of(platform, name) for name in CALLERS}
        self.owners = {name: platform.cloud.identity(name).user_arn for name in CALLERS}
        self.sequences = itertools.count(time.time_ns() // 1_000_000 % 10**8)
        self.asked: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()

    def call(self, caller: str, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        answer = self.clients[caller].call(method, path, body, **more)
        self.asked[str(answer.status)] += 1
        assert answer.status < 500, (caller, method, path, answer.body)
        return answer


class EnvironmentService(RuleBasedStateMachine):
    """Two ids, three callers, everything that can be asked for."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"model-{next(self.world.sequences)}"
        self.known: dict[str, Known] = {}

    @initialize(wish=wishes, other=wishes)
    def begin(self, wish: dict[str, Any], other: dict[str, Any]) -> None:
        self.put("alice", "a", wish)
        self.create("bob", "b", other)
        self.settle("a")

    # What callers ask for.

    @rule(caller=callers, name=names, wish=wishes)
    def put(self, caller: str, name: str, wish: dict[str, Any]) -> None:
        known, before = self.known.get(name), self.record(name)
        answer = self.call(caller, "PUT", name, wish)
        if self.taken(answer, caller, known):
            return
        assert answer.status in {200, 202}, answer.body
        record = answer.body
        if known is None or known.gone or record["incarnation"] > known.incarnation:
            self.begun(name, caller, record, wish)
            return
        assert before is not None
        spec = _spec(wish)
        if known.present and not known.paused and known.spec == spec and spec[0] != BROKEN:
            assert record["generation"] == before["generation"], "the same wish is no change"
        elif not (known.present and known.spec == spec):
            assert record["generation"] == before["generation"] + 1
        known.spec, known.present, known.paused = spec, True, False
        self.adjusted(known, wish)
        self.learned(name, answer)

    @rule(caller=callers, name=names, wish=wishes)
    def create(self, caller: str, name: str, wish: dict[str, Any]) -> None:
        known = self.known.get(name)
        answer = self.world.call(caller, "POST", "/environments", {"id": self.id_of(name), **wish})
        if self.taken(answer, caller, known):
            return
        if known and not known.gone and answer.status == 409:
            assert answer.body["code"] == "exists"
            return
        assert answer.status == 202, answer.body
        assert known is None or not known.present, "a living one is never created anew"
        self.begun(name, caller, answer.body, wish)

    @rule(caller=callers, name=names, change=changes)
    def patch(self, caller: str, name: str, change: dict[str, Any]) -> None:
        before = self.record(name)
        answer = self.call(caller, "PATCH", name, change)
        if self.hidden(answer, caller, name) or self.refused(answer, name, {"destroyed"}):
            return
        assert answer.status == 200 and before is not None, answer.body
        assert answer.body["generation"] == before["generation"], "nothing is deployed for it"
        self.adjusted(self.known[name], change)
        self.learned(name, answer)

    @rule(caller=callers, name=names, force=st.booleans())
    def delete(self, caller: str, name: str, force: bool) -> None:
        answer = self.call(caller, "DELETE", name, query={"force": str(force).lower()})
        if self.hidden(answer, caller, name):
            return
        known = self.known[name]
        if known.present and known.protected and not force:
            assert (answer.status, answer.body["code"]) == (409, "protected")
            return
        assert answer.status == (200 if answer.body["status"] == "destroyed" else 202), answer.body
        known.present = False
        self.learned(name, answer)

    @rule(caller=callers, name=names)
    def pause(self, caller: str, name: str) -> None:
        self.want(caller, name, paused=True)

    @rule(caller=callers, name=names)
    def resume(self, caller: str, name: str) -> None:
        self.want(caller, name, paused=False)

    def want(self, caller: str, name: str, *, paused: bool) -> None:
        before = self.record(name)
        answer = self.call(caller, "POST", name, below="pause" if paused else "resume")
        if self.hidden(answer, caller, name) or self.refused(answer, name, {"destroying", "destroyed"}):
            return
        known = self.known[name]
        assert answer.status in {200, 202} and before is not None, answer.body
        assert known.present, "what is to go is neither paused nor resumed"
        if known.spec[0] != BROKEN:
            assert answer.body["generation"] == before["generation"] + (known.paused != paused)
        known.paused = paused
        self.learned(name, answer)

    @rule(caller=callers, name=names, ttl=st.sampled_from((None, "2h")))
    def revive(self, caller: str, name: str, ttl: str | None) -> None:
        answer = self.call(caller, "POST", name, ttl and {"ttl": ttl}, below="revive")
        if self.hidden(answer, caller, name):
            return
        known = self.known[name]
        if answer.status == 409:
            assert not known.gone and answer.body["code"] == "exists", answer.body
            return
        assert answer.status == 202 and not known.present, answer.body
        assert answer.body["incarnation"] == known.incarnation + 1
        assert answer.body["ttl"] == ttl or ttl is None
        self.known[name] = Known(
            known.owner, known.incarnation + 1, known.spec, known.labels, known.protected, version=known.version
        )
        self.learned(name, answer)

    @rule(caller=callers, name=names, method=st.sampled_from(("PUT", "PATCH", "DELETE")))
    def ask_for_a_version_that_was_never_there(self, caller: str, name: str, method: str) -> None:
        body = {"PUT": {"image": V2}, "PATCH": {"protected": True}, "DELETE": None}[method]
        answer = self.call(caller, method, name, body, headers={"If-Match": '"0"'})
        known = self.known.get(name)
        if method != "PUT" and self.hidden(answer, caller, name):
            return
        assert answer.status == 412 or self.taken(answer, caller, known), answer.body

    @rule(caller=callers, name=names)
    def look(self, caller: str, name: str) -> None:
        answer = self.call(caller, "GET", name)
        events = self.call(caller, "GET", name, below="events")
        if self.hidden(answer, caller, name):
            assert events.status == 404
            return
        self.learned(name, answer)
        times = [event["at"] for event in events.checked().body["events"]]
        assert times == sorted(times) and times

    # Time.

    @rule(name=names)
    def wait(self, name: str) -> None:
        self.settle(name)

    @rule(name=names)
    def wait_for_it(self, name: str) -> None:
        """The same once more: half of what is worth asking is asked of what has settled."""
        self.settle(name)

    @rule(name=names)
    def let_its_time_pass(self, name: str) -> None:
        known = self.known[name]
        if not known.present:
            return
        self.call(known.owner, "PATCH", name, {"ttl": "1s"}).checked()
        time.sleep(1.1)
        self.swept("light")
        if known.protected:
            self.call(known.owner, "PATCH", name, {"ttl": "6h"}).checked()
        else:
            known.present = False
        self.settle(name)

    @rule(kind=st.sampled_from(("light", "deep")))
    def sweep(self, kind: str) -> None:
        """A sweep that finds nothing wrong changes nothing."""
        self.swept(kind)

    @rule(name=names)
    def somebody_pauses_it_behind_our_back(self, name: str) -> None:
        """A deep sweep sees that what runs is not what is wanted, and it is made so again; a protected one is left alone."""
        known = self.known[name]
        if known.ends_as != "ready":
            return
        self.settle(name)
        self.world.aws.pause_service(ServiceArn=self.services(name)[0].arn)
        self.wait_until_service_is(name, "PAUSED")
        report = self.swept("deep")
        (finding,) = [each for each in report["findings"] if each["environment"] == self.id_of(name)]
        assert (finding["kind"], finding["outcome"]) == (
            "drifted",
            "kept" if known.protected else "dispatched",
        ), finding
        if known.protected:
            self.world.aws.resume_service(ServiceArn=self.services(name)[0].arn)
            self.wait_until_service_is(name, "RUNNING")
        self.settle(name)

    # What always holds.

    @invariant()
    def never_two_services_for_one_environment(self) -> None:
        for name in self.known:
            assert len(self.services(name)) <= 1

    @invariant()
    def everybody_sees_their_own_and_nobody_elses(self) -> None:
        for caller in CALLERS:
            missing = {
                self.id_of(name) for name, each in self.known.items() if each.present and self.sees(caller, each)
            }
            others = {self.id_of(name) for name, each in self.known.items() if not self.sees(caller, each)}
            # A list is read status by status: what changes its status meanwhile can be missed once.
            for _ in range(LISTS):
                listed = {each["id"] for each in self.world.clients[caller].environments(limit=100)}
                assert not listed & others
                missing -= listed
                if not missing:
                    break
            assert not missing

    def teardown(self) -> None:
        for name in self.known:
            self.call("operator", "DELETE", name, query={"force": "true"}).checked()
            self.known[name].present = False
        for name in self.known:
            self.settle(name)

    # The model's own words.

    def id_of(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def wait_until_service_is(self, name: str, status: str) -> None:
        give_up = time.monotonic() + 60
        while self.services(name)[0].status != status:
            assert time.monotonic() < give_up, self.services(name)
            time.sleep(0.1)

    def swept(self, kind: str) -> Any:
        """A sweep's report; another one that runs at the time is waited for."""
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            body = {"dry_run": False, "kind": kind}
            report = self.world.call("operator", "POST", "/sweeps", body).checked().body
            while report["status"] == "requested" and time.monotonic() < give_up:
                time.sleep(0.1)
                report = self.world.call("operator", "GET", f"/sweeps/{report['id']}").checked().body
            if report["status"] != "skipped":
                assert report["status"] == "done", report
                return report
            time.sleep(1)
        raise AssertionError("Waited a minute for a sweep.")

    def services(self, name: str) -> list[ServiceView]:
        """What App Runner has under the environment's name, but for what is deleted."""
        service = f"fib-app-{self.id_of(name)}-service"
        return [each for each in self.world.apprunner.services() if each.name == service and each.status != "DELETED"]

    def call(self, caller: str, method: str, name: str, body: Any = None, *, below: str = "", **more: Any) -> Answer:
        path = "/".join(filter(None, ("/environments", self.id_of(name), below)))
        return self.world.call(caller, method, path, body, **more)

    def record(self, name: str) -> Any:
        return self.call("operator", "GET", name).checked().body if name in self.known else None

    def sees(self, caller: str, known: Known) -> bool:
        return caller in {known.owner, "operator"}

    def taken(self, answer: Answer, caller: str, known: Known | None) -> bool:
        """Whether another owner's environment keeps the id."""
        if known is None or known.gone or self.sees(caller, known) or answer.status == 202:
            # Accepted under another's id: then its removal must have been over.
            assert answer.status != 202 or known is None or self.sees(caller, known) or not known.present
            return False
        assert (answer.status, answer.body["code"]) == (409, "id_taken")
        assert answer.body.keys() == {"type", "title", "status", "detail", "code"}
        return True

    def hidden(self, answer: Answer, caller: str, name: str) -> bool:
        """Whether it is none of the caller's: then it is not there."""
        known = self.known.get(name)
        if known and self.sees(caller, known):
            return False
        assert (answer.status, answer.body["code"]) == (404, "not_found")
        return True

    def refused(self, answer: Answer, name: str, codes: set[str]) -> bool:
        """Whether it is on its way out or gone, so that nothing but bringing it back can be asked for."""
        known = self.known[name]
        if answer.status != 409:
            assert not known.gone
            return False
        assert not known.present and answer.body["code"] in codes, answer.body
        known.gone = answer.body["code"] == "destroyed"
        return True

    def begun(self, name: str, caller: str, record: Any, wish: dict[str, Any]) -> None:
        """A new incarnation is the caller's, and has nothing of the one before but the next numbers."""
        before = self.known.get(name)
        assert before is None or (record["incarnation"] == before.incarnation + 1 and not before.present)
        assert record["owner"] == self.world.owners[caller]
        assert record["version"] > (before.version if before else 0)
        self.known[name] = known = Known(caller, record["incarnation"], _spec(wish), version=record["version"])
        self.adjusted(known, wish)
        assert (record["labels"], record["protected"]) == (known.labels, known.protected)

    def adjusted(self, known: Known, wish: dict[str, Any]) -> None:
        known.labels = wish.get("labels", known.labels)
        known.protected = wish.get("protected", known.protected)

    def learned(self, name: str, answer: Answer) -> None:
        """What every answer with a record has to agree with."""
        known, record = self.known[name], answer.body
        assert record["id"] == self.id_of(name)
        assert record["owner"] == self.world.owners[known.owner]
        assert record["incarnation"] == known.incarnation
        assert record["version"] >= known.version, "versions grow"
        assert (record["spec"]["image"], record["spec"]["revision"]) == known.spec
        assert (record["labels"], record["protected"]) == (known.labels, known.protected)
        assert answer.headers["ETag"] == f'"{record["version"]}"'
        known.version = record["version"]
        if record["status"] == "destroyed":
            assert not known.present and record["receipt"]["checked"]
            known.gone = True

    def settle(self, name: str) -> None:
        """Wait until it stays as it is: as the model says, and with just that in the cloud."""
        known = self.known[name]
        give_up = time.monotonic() + 120
        answer = self.call("operator", "GET", name).checked()
        while answer.body["status"] not in STILL:
            assert time.monotonic() < give_up, answer.body
            query = {"wait": 5, "version": answer.body["version"]}
            answer = self.call("operator", "GET", name, query=query).checked()
        record = answer.body
        assert record["status"] == known.ends_as, (record["status"], known, record["error"])
        self.learned(name, answer)
        self.world.settled[known.ends_as] += 1
        live = [str(each.status) for each in self.services(name)]
        if known.ends_as == "ready":
            assert live == ["RUNNING"] and record["error"] is None
            assert visit(f"{record['url']}/fib/10") == b'{"fib":55,"n":10}\n'
        elif known.ends_as == "paused":
            assert live == ["PAUSED"]
        elif known.ends_as == "destroyed":
            assert live == [] and record["url"] is None
        else:
            assert record["error"]["code"] in REASONS, record["error"]


def _spec(wish: dict[str, Any]) -> tuple[str, str | None]:
    return wish["image"], wish.get("revision")


def test_the_api_behaves_as_the_model_predicts(platform: Platform) -> None:
    world = World(platform)
    long = "CHAOS_EXAMPLES" in os.environ
    started = time.monotonic()
    run_state_machine_as_test(
        type("OnThePlatform", (EnvironmentService,), {"world": world}),
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # The short form is the same each time. Neither looks for a shorter sequence: each try takes minutes.
            derandomize=not long,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    write_figures(
        "stateful model",
        {
            "sequences": SEQUENCES,
            "requests": world.asked.total(),
            "answers_5xx": sum(count for status, count in world.asked.items() if status.startswith("5")),
            "settled": dict(world.settled),
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    assert set(world.settled) >= {"ready", "destroyed"}

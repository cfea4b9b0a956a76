"""What is done to one environment: deployed (and so updated, paused, resumed) or destroyed.

The rule: an operation begins by mending what an earlier one left, ends with a look of its own at the cloud, and returns what
it saw; it writes no record. It can be begun again after a death at any point, and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.environment import Environment, Observed, Receipt
from orchestrator.domain.errors import Interrupted, Terminal, Transient
from orchestrator.ports import Cloud, Deployed, Engine, Health, Progress, Service, StopSignal, Verification
from orchestrator.worker.recovery import recover, remove_service, wait_until_idle

_HEALTH_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Operations:
    """What can be done to `target`. Its methods raise Interrupted, Transient or Terminal."""

    engine: Engine
    cloud: Cloud
    health: Health
    clock: Callable[[], datetime]
    look_again_after: tuple[float, ...]
    listed_late: tuple[float, ...]
    target: Environment
    note: Progress
    stop: StopSignal

    def deploy(self) -> Observed:
        """Bring the stack up to what is wanted; returns what was seen to be so."""
        self._recover()
        before = self.prepare_service()
        try:
            deployed = self._up(before)
        except Terminal as refusal:
            if refusal.code != "name_taken":
                raise
            self._remove_unknown(refusal)
            deployed = self._up(None)
        service = self._deployed_service(before)
        if self.target.paused:
            self._pause(service)
        else:
            self._wait_until_healthy(deployed.url)
        return Observed(
            generation=self.target.generation,
            url=deployed.url,
            service_arn=service.arn,
            image=self.target.spec.image,
            digest=self.cloud.digest(self.target.spec.image),
            paused=self.target.paused,
            at=self.clock(),
        )

    def destroy(self) -> Receipt:
        """Remove the stack and whatever else is left; returns the proof."""
        self._recover()
        service = self._idle_service()
        self.engine.destroy(self.target, refresh=self._state_may_differ(service), progress=self.note, stop=self.stop)
        may_be_late = self.target.needs_refresh and not service and not self.target.observed.service_arn
        leftover = self._late_service() if may_be_late else self._idle_service()
        if leftover:
            self.note(f"The engine left {leftover.arn}; it is removed by name and tags.")
            remove_service(self.cloud, self.target, leftover, self.stop)
        look = self._look_until_gone()
        return Receipt(
            at=self.clock(),
            checked=look.checked,
            cannot_see=look.cannot_see,
            reason=self.target.reason,
            image=self.target.observed.image or self.target.spec.image,
            digest=self.target.observed.digest,
        )

    def _up(self, before: Service | None) -> Deployed:
        return self.engine.deploy(
            self.target,
            new=not self.target.observed.generation,
            refresh=self._state_may_differ(before),
            progress=self.note,
            stop=self.stop,
        )

    def _remove_unknown(self, refusal: Terminal) -> None:
        """Remove the service whose name is in the way: ours by its tags, and made by a create whose success was never told.

        Raises the refusal again when it is somebody else's.
        """
        service = self._late_service()
        if service is None or self.engine.knows(self.target, service.arn):
            raise refusal
        self.note(f"{service.arn} is ours, and the engine does not know it: it is removed and made again.")
        remove_service(self.cloud, self.target, service, self.stop)

    def _recover(self) -> None:
        if self.target.needs_refresh:
            recover(self.engine, self.cloud, self.target, self.note, self.stop)

    def _idle_service(self) -> Service | None:
        return wait_until_idle(self.cloud, self.target, self.stop)

    def _late_service(self) -> Service | None:
        """The idle service, also when it was made a moment ago, by a create that never told, and is not listed yet."""
        service = self._idle_service()
        for pause in self.listed_late:
            if service:
                break
            if self.stop.wait(pause):
                raise Interrupted("Stopped while looking for a service that may not be listed yet.")
            service = self._idle_service()
        return service

    def prepare_service(self) -> Service | None:
        """The idle service, running unless it is wanted paused; None when there is none, or was none that can be changed."""
        service = self._idle_service()
        if service and service.broken:
            self.note(f"The service is {service.status}: it is removed before the next try.")
            self.engine.destroy(self.target, refresh=True, progress=self.note, stop=self.stop)
            return None
        # Unless it is this very pause, half done: App Runner takes no new version while it is paused.
        if service and service.paused and not (self.target.paused and not self.target.observed.paused):
            self.note("The service is resumed.")
            self.cloud.resume(service)
            service = self._idle_service()
            if service and service.paused:
                raise Transient("App Runner did not resume the service.", "not_resumed")
        return service

    def _state_may_differ(self, service: Service | None) -> bool:
        """Whether the engine has to look at the cloud before it compares.

        A failed update leaves the values that were wanted in Pulumi's state (its issue 21458), so the next one would find nothing
        to do; the same goes for a rolled-back one, and for a service that somebody else removed.
        """
        if service is None:
            return self.target.needs_refresh or self.target.observed.generation > 0
        return self.target.needs_refresh or service.last_operation != "SUCCEEDED"

    def _deployed_service(self, before: Service | None) -> Service:
        """The service as the deploy left it, seen to be what is wanted: a rolled-back update looks as good as any."""
        service = self._idle_service()
        if service is None:
            raise Transient("The stack is up, but App Runner lists no such service yet.", "service_missing")
        if service.last_operation != "SUCCEEDED" and not (before and before.operation_id == service.operation_id):
            raise Terminal(
                f"App Runner's last operation ended {service.last_operation}: the service runs its former version. "
                "Look at the application's log for why the new one did not start.",
                "rolled_back",
            )
        if service.image != self.target.spec.image:
            raise Transient(f"The stack is up, but App Runner still runs {service.image}.", "not_deployed")
        return service

    def _pause(self, service: Service) -> None:
        if service.paused:
            return
        self.cloud.pause(service)
        now = self._idle_service()
        if now is None or not now.paused:
            raise Transient("App Runner did not pause the service.", "not_paused")

    def _wait_until_healthy(self, url: str) -> None:
        path = self.target.spec.health_path
        patience = self.clock() + _HEALTH_PATIENCE
        waited = 0.1
        while problem := self.health.answers(f"{url}{path}"):
            if self.clock() >= patience:
                raise Terminal(
                    f"The service runs, but {path} {problem}. An environment is ready when it answers 200 there: "
                    "mend the application or the spec's health_path.",
                    "unhealthy",
                )
            if self.stop.wait(waited):
                raise Interrupted("Stopped while waiting for the service to answer.")
            waited = min(waited * 2, 5.0)

    def _look_until_gone(self) -> Verification:
        """A look that finds nothing any more. The tagging API goes on showing for a while what was deleted."""
        look = self.cloud.verify_absent(self.target)
        for pause in self.look_again_after:
            if not look.found:
                break
            if self.stop.wait(pause):
                raise Interrupted("Stopped while looking for what is left.")
            look = self.cloud.verify_absent(self.target)
        if look.found:
            raise Transient(f"After the destroy this was still there: {', '.join(look.found)}.", "leftovers")
        return look

"""What is done to one environment: deploy (which includes update, pause and resume) and destroy.

The rule: an operation first recovers what an earlier one left, ends with its own check of the cloud, and returns what it saw. It
writes no record. After a death at any point it can begin again and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from orchestrator.domain.environment import Observed, Receipt
from orchestrator.domain.errors import ErrorCode, Interrupted, Terminal, Transient
from orchestrator.ports import Deployed, Service, Verification
from orchestrator.worker.recovery import Recovery

T = TypeVar("T")

_HEALTH_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True)
class Pauses:
    """Seconds between two checks. All checks for a late service fit into one short invocation: longer ones would never end."""

    between_reads: float = 1.0
    """While an operation runs: between two reads of the record, which may say that it has to stop."""
    leftovers: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """After a destroy: until AWS no longer lists what was deleted."""
    late_service: tuple[float, ...] = (0.5, 1.5, 2.0, 4.0)
    """For a service that was made a moment ago and may not be listed yet."""


@dataclass(frozen=True)
class Operations(Recovery):
    """What can be done to `target`. The methods raise Interrupted, Transient or Terminal."""

    pauses: Pauses

    def deploy(self) -> Observed:
        """Bring the stack to the desired state; returns what was observed."""
        self.recover()
        before = self._prepare_service()
        try:
            deployed = self._up(before)
        except Terminal as refusal:
            if refusal.code != ErrorCode.NAME_TAKEN:
                raise
            self._remove_unknown(refusal)
            deployed = self._up(None)
        service = self._deployed_service(before)
        if self.target.paused:
            self._pause(service)
        else:
            self._wait_until_healthy(deployed.url)
        image = self.target.spec.image
        return Observed(
            generation=self.target.generation,
            url=deployed.url,
            service_arn=service.arn,
            image=image,
            digest=self.ports.cloud.digest(image),
            paused=self.target.paused,
            at=self.ports.clock(),
        )

    def destroy(self) -> Receipt:
        """Remove the stack and anything else that is left; returns the proof."""
        self.recover()
        service = self.wait_until_idle()
        self._destroy_stack(refresh=self._state_may_differ(service))
        may_be_late = self.target.needs_refresh and not service and not self.target.observed.service_arn
        leftover = self._late_service() if may_be_late else self.wait_until_idle()
        if leftover:
            self.note(f"The engine left {leftover.arn}; it is removed by name and tags.")
            self.remove_service(leftover)
        verification = self._verify_absent()
        return Receipt(
            at=self.ports.clock(),
            checked=verification.checked,
            cannot_see=verification.cannot_see,
            reason=self.target.reason,
            image=self.target.observed.image or self.target.spec.image,
            digest=self.target.observed.digest,
        )

    def _up(self, before: Service | None) -> Deployed:
        return self.ports.engine.deploy(
            self.target,
            new=not self.target.observed.generation,
            refresh=self._state_may_differ(before),
            progress=self.note,
            stop=self.stop,
        )

    def _destroy_stack(self, *, refresh: bool) -> None:
        self.ports.engine.destroy(self.target, refresh=refresh, progress=self.note, stop=self.stop)

    def _remove_unknown(self, refusal: Terminal) -> None:
        """Remove the service that has our name and tags although the engine does not know it: its create was never reported.

        Raises the refusal again when the service belongs to others.
        """
        service = self._late_service()
        if service is None or self.ports.engine.knows(self.target, service.arn):
            raise refusal
        self.note(
            f"{service.arn} has this environment's tags, but the engine does not know it: it is removed and made again."
        )
        self.remove_service(service)

    def _late_service(self) -> Service | None:
        """The idle service, also if it was made a moment ago by a create that was never reported, and is listed late."""
        return self._until(
            self.wait_until_idle,
            lambda service: service is not None,
            self.pauses.late_service,
            "Stopped while looking for a service that may be listed late.",
        )

    def _prepare_service(self) -> Service | None:
        """The idle service, running unless it is desired paused; None when there is none or a broken one was removed."""
        service = self.wait_until_idle()
        if service and service.broken:
            self.note(f"The service is {service.status}: it is removed before the next try.")
            self._destroy_stack(refresh=True)
            return None
        # App Runner updates no paused service. One that this very pause has paused already stays as it is.
        if service and service.paused and not (self.target.paused and not self.target.observed.paused):
            self.note("The service is resumed.")
            self.ports.cloud.resume(service)
            service = self.wait_until_idle()
            if service and service.paused:
                raise Transient("App Runner did not resume the service.", ErrorCode.NOT_RESUMED)
        return service

    def _state_may_differ(self, service: Service | None) -> bool:
        """Whether the engine has to read the cloud before it compares.

        A failed update leaves the desired values in Pulumi's state (pulumi/pulumi issue 21458), so the next update would find
        nothing to do. The same goes for an update that was rolled back, and for a service that was removed outside fibfactory.
        """
        if service is None:
            return self.target.needs_refresh or self.target.observed.generation > 0
        return self.target.needs_refresh or service.last_operation != "SUCCEEDED"

    def _deployed_service(self, before: Service | None) -> Service:
        """The service after the deploy, checked to run what is desired: after a rollback it looks healthy, too."""
        service = self.wait_until_idle()
        if service is None:
            raise Transient("The stack is up, but App Runner lists no such service yet.", ErrorCode.SERVICE_MISSING)
        if service.last_operation != "SUCCEEDED" and not (before and before.operation_id == service.operation_id):
            raise Terminal(
                f"App Runner's last operation ended {service.last_operation}: the service runs its former version. "
                "Look at the application's log for why the new one did not start.",
                ErrorCode.ROLLED_BACK,
            )
        if service.image != self.target.spec.image:
            raise Transient(f"The stack is up, but App Runner still runs {service.image}.", ErrorCode.NOT_DEPLOYED)
        return service

    def _pause(self, service: Service) -> None:
        if service.paused:
            return
        self.ports.cloud.pause(service)
        now = self.wait_until_idle()
        if now is None or not now.paused:
            raise Transient("App Runner did not pause the service.", ErrorCode.NOT_PAUSED)

    def _wait_until_healthy(self, url: str) -> None:
        path = self.target.spec.health_path
        give_up = self.ports.clock() + _HEALTH_TIMEOUT
        pause = 0.1
        while problem := self.ports.health.answers(f"{url}{path}"):
            if self.ports.clock() >= give_up:
                raise Terminal(
                    f"The service runs, but {path} {problem}. An environment is ready when it answers 200 there: "
                    "correct the application or the spec's health_path.",
                    ErrorCode.UNHEALTHY,
                )
            if self.stop.wait(pause):
                raise Interrupted("Stopped while waiting for the service to answer.")
            pause = min(pause * 2, 5.0)

    def _verify_absent(self) -> Verification:
        """A check that finds nothing any more. The tagging API shows deleted resources for a while."""
        verification = self._until(
            lambda: self.ports.cloud.verify_absent(self.target),
            lambda seen: not seen.found,
            self.pauses.leftovers,
            "Stopped while checking for leftovers.",
        )
        if verification.found:
            raise Transient(
                f"After the destroy this was still there: {', '.join(verification.found)}.", ErrorCode.LEFTOVERS
            )
        return verification

    def _until(
        self, look: Callable[[], T], satisfied: Callable[[T], bool], pauses: tuple[float, ...], stopped: str
    ) -> T:
        """Look again after each pause until the result satisfies; returns the last result."""
        result = look()
        for pause in pauses:
            if satisfied(result):
                break
            if self.stop.wait(pause):
                raise Interrupted(stopped)
            result = look()
        return result

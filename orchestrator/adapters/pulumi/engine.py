"""The Engine port: an environment's record becomes the template stack's inputs, and the stack is deployed or removed."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from orchestrator.adapters.pulumi.stacks import PulumiStacks, Report
from orchestrator.adapters.pulumi.state import StateBucket
from orchestrator.domain import names
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import ErrorCode, LockLeft, OperationFailed, Terminal
from orchestrator.ports import Deployed, Lock, PendingCreate, Progress, StopSignal
from template_stack import EnvironmentInputs

_SERVICE_TYPE = "aws:apprunner/service:Service"


@dataclass(frozen=True)
class PulumiEngine:
    """The Engine port on Pulumi stacks."""

    stacks: PulumiStacks
    state: StateBucket
    platform: str
    prefix: str
    region: str
    access_role_arn: str | None = None
    instance_role_arn: str | None = None

    def deploy(
        self, environment: Environment, *, new: bool, refresh: bool, progress: Progress, stop: StopSignal
    ) -> Deployed:
        with self._stack_of(environment) as stack:
            report = self.stacks.up(
                stack,
                self._inputs(environment),
                hidden=_hidden(environment),
                new=new,
                refresh=refresh,
                progress=progress,
                stop=stop,
            )
        return Deployed(service_url(report))

    def destroy(self, environment: Environment, *, refresh: bool, progress: Progress, stop: StopSignal) -> None:
        with self._stack_of(environment) as stack:
            self.stacks.destroy(stack, hidden=_hidden(environment), refresh=refresh, progress=progress, stop=stop)
        self.state.delete_stack_files(stack)

    def locks(self, environment: Environment) -> Sequence[Lock]:
        return self.state.locks(names.stack_name(environment.id))

    def break_lock(self, lock: Lock) -> None:
        self.state.break_lock(lock)

    def pending_creates(self, environment: Environment) -> Sequence[PendingCreate]:
        service = names.service_name(self.prefix, environment.id)
        return [
            PendingCreate(urn, kind, main=(kind, name) == (_SERVICE_TYPE, service))
            for urn, kind, name in self.state.pending_creates(names.stack_name(environment.id))
        ]

    def knows(self, environment: Environment, arn: str) -> bool:
        return arn in self.state.ids(names.stack_name(environment.id))

    def clear_pending_creates(self, environment: Environment, *, progress: Progress, stop: StopSignal) -> None:
        with self._stack_of(environment) as stack:
            self.stacks.clear_pending_creates(stack, hidden=_hidden(environment), progress=progress, stop=stop)

    @contextmanager
    def _stack_of(self, environment: Environment) -> Iterator[str]:
        """The stack's name, for one command: before it, an empty checkpoint is deleted; after it, our own lock.

        A CLI that was killed leaves its lock, and so does one that could not delete it, which still ends well. Our lock is one
        that was taken on this host while we hold the environment's lease. Raises LockLeft when it can't be removed.
        """
        stack, since = names.stack_name(environment.id), environment.lease.since
        if environment.needs_refresh:
            self.state.delete_empty_checkpoint(stack)
        try:
            yield stack
        finally:
            try:
                for lock in self.state.locks(stack):
                    if lock.host == socket.gethostname() and since is not None and lock.at >= since:
                        self.break_lock(lock)
            except OperationFailed as error:
                raise LockLeft(f"The engine's lock could not be removed: {error.message}") from error

    def _inputs(self, environment: Environment) -> EnvironmentInputs:
        spec = environment.spec
        if spec.revision:
            # Another revision is another variable, so that App Runner deploys the same image again.
            spec = replace(spec, variables={**spec.variables, "FIBFACTORY_REVISION": spec.revision})
        return EnvironmentInputs(
            app_name=names.app_name(self.prefix, environment.id),
            region=self.region,
            tags=names.tags(
                self.platform, environment.owner, environment.id, environment.generation, paused=environment.paused
            ),
            spec=spec,
            access_role_arn=self.access_role_arn,
            instance_role_arn=self.instance_role_arn,
        )


def _hidden(environment: Environment) -> Collection[str]:
    return environment.spec.variables.values()


def service_url(report: Report) -> str:
    """The URL that the template exported. App Runner gives it without a scheme, so `https://` is added then."""
    url = report.outputs.get("app_runner_service_url")
    if not isinstance(url, str) or not url:
        raise Terminal(
            "The template stack exported no `app_runner_service_url`. Keep that export in template_stack.py.",
            ErrorCode.NO_URL,
        )
    return url if "://" in url else f"https://{url}"

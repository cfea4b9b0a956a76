"""How what is wanted of an environment changes: asked for, asked for again, relabelled, removed, expired.

The rule: pure; each function takes the record as it is and returns the record as it should be, or the same one when nothing
changes. Whoever asks has been let in before (`service`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator.domain.environment import Environment, Lease, Observed, Spec
from orchestrator.domain.errors import Conflict


@dataclass(frozen=True)
class Unset:
    """What a request left out."""


UNSET = Unset()

UNKNOWN_IMAGE = "unknown"
"""Of an orphan that never had a record."""


@dataclass(frozen=True)
class EnvironmentRequest:
    """What a caller asks for. What is UNSET keeps its value, or takes the platform's default in a new environment."""

    spec: Spec
    ttl: timedelta | None | Unset = UNSET
    labels: Mapping[str, str] | Unset = UNSET
    protected: bool | Unset = UNSET


@dataclass(frozen=True)
class LifetimeLimits:
    """The platform's limits. `longest` counts from creation and None means that there is no hard end."""

    default: timedelta | None
    longest: timedelta | None


def create(
    environment_id: str,
    owner: str,
    request: EnvironmentRequest,
    limits: LifetimeLimits,
    now: datetime,
    *,
    idempotency: str | None = None,
) -> Environment:
    """A record for an id that was never used."""
    ttl = limits.default if isinstance(request.ttl, Unset) else request.ttl
    return Environment(
        id=environment_id,
        owner=owner,
        created_at=now,
        updated_at=now,
        dispatched_at=now,
        spec=request.spec,
        ttl=ttl,
        expires_at=_expiry(now, ttl, now, limits),
        labels={} if isinstance(request.labels, Unset) else request.labels,
        protected=False if isinstance(request.protected, Unset) else request.protected,
        idempotency=idempotency,
    )


def recreate(
    tombstone: Environment,
    owner: str,
    request: EnvironmentRequest,
    limits: LifetimeLimits,
    now: datetime,
    *,
    idempotency: str | None = None,
) -> Environment:
    """The next incarnation of an id whose last one is gone: generation, token and version go on, nothing else does."""
    fresh = create(tombstone.id, owner, request, limits, now, idempotency=idempotency)
    return replace(
        fresh,
        incarnation=tombstone.incarnation + 1,
        generation=tombstone.generation + 1,
        version=tombstone.version + 1,
        lease=Lease(token=tombstone.lease.token),
    )


def apply(environment: Environment, request: EnvironmentRequest, limits: LifetimeLimits, now: datetime) -> Environment:
    """The record with this request. The expiry never moves closer: max(current, now + ttl), at most the hard end.

    Who asks for an environment wants it to run: a paused one is resumed. The generation grows when the spec differs, when the
    environment was paused or to be removed, or when its last operation failed for good (asking again is asking to try again).
    """
    ttl = environment.ttl if isinstance(request.ttl, Unset) else request.ttl
    if not environment.present:
        # It was on its way out: what is wanted now is a new one, whose time starts now.
        environment = replace(environment, created_at=now, expires_at=None)
    elif limits.longest is not None and environment.created_at + limits.longest <= now:
        raise Conflict(
            f"{environment.id} has lived as long as this platform allows. Remove it, then ask for it anew.",
            "lifetime_over",
        )
    expiry = _expiry(environment.created_at, ttl, now, limits)
    if expiry and environment.expires_at:
        expiry = max(expiry, environment.expires_at)
    changed = replace(
        environment,
        ttl=ttl,
        expires_at=expiry,
        labels=environment.labels if isinstance(request.labels, Unset) else request.labels,
        protected=environment.protected if isinstance(request.protected, Unset) else request.protected,
    )
    if (
        environment.present
        and environment.spec == request.spec
        and not environment.paused
        and not environment.failed_permanently
    ):
        return _touched(environment, changed, now)
    return _new_generation(replace(changed, spec=request.spec, present=True, paused=False, reason="asked for"), now)


def adjust(
    environment: Environment,
    limits: LifetimeLimits,
    now: datetime,
    *,
    ttl: timedelta | None | Unset = UNSET,
    labels: Mapping[str, str] | Unset = UNSET,
    protected: bool | Unset = UNSET,
) -> Environment:
    """The record with another TTL (its expiry is now + ttl, at most the hard end), labels or protection; no redeploy."""
    changed = environment
    if not isinstance(ttl, Unset):
        changed = replace(changed, ttl=ttl, expires_at=_expiry(environment.created_at, ttl, now, limits))
    if not isinstance(labels, Unset):
        changed = replace(changed, labels=labels)
    if not isinstance(protected, Unset):
        changed = replace(changed, protected=protected)
    return _touched(environment, changed, now)


def remove(environment: Environment, reason: str, now: datetime, *, force: bool = False) -> Environment:
    """The record with nothing desired any more; the same one when that is so already and being worked on.

    Raises Conflict `protected` for a protected environment unless forced.
    """
    if not environment.present and not environment.failed_permanently:
        return environment
    if environment.present and environment.protected and not force:
        raise Conflict(
            f"{environment.id} is protected. Take its protection away first (PATCH protected=false) or say ?force=true.",
            "protected",
        )
    return _new_generation(replace(environment, present=False, paused=False, reason=reason), now)


def pause(environment: Environment, now: datetime) -> Environment:
    """The record with its service wanted paused: it keeps its URL, and nothing is paid for CPU. Its time runs on."""
    return _wanting(environment, paused=True, now=now)


def resume(environment: Environment, now: datetime) -> Environment:
    """The record with its service wanted running again."""
    return _wanting(environment, paused=False, now=now)


def revive(
    tombstone: Environment, limits: LifetimeLimits, now: datetime, *, ttl: timedelta | None | Unset
) -> Environment:
    """The next incarnation as the last one was: its owner, spec, labels, protection, and its TTL unless another is given.

    Where the registry had told which image the tag meant, that very image comes back, whatever the tag means by now. Raises
    Conflict `unknown_spec` for an orphan's.
    """
    receipt, spec = tombstone.receipt, tombstone.spec
    if spec.image == UNKNOWN_IMAGE:
        raise Conflict(
            f"{tombstone.id} was an orphan, of which nothing is known but that it is gone. "
            f"PUT /environments/{tombstone.id} makes a new one.",
            "unknown_spec",
        )
    if receipt and receipt.digest and receipt.image == spec.image and "@" not in spec.image:
        repository = spec.image.rsplit(":", 1)[0] if ":" in spec.image.rsplit("/", 1)[-1] else spec.image
        spec = replace(spec, image=f"{repository}@{receipt.digest}")
    request = EnvironmentRequest(
        spec=spec,
        ttl=tombstone.ttl if isinstance(ttl, Unset) else ttl,
        labels=tombstone.labels,
        protected=tombstone.protected,
    )
    return recreate(tombstone, tombstone.owner, request, limits, now)


def orphan(environment_id: str, tombstone: Environment | None, owner: str, reason: str, now: datetime) -> Environment:
    """A record for what runs without one, with nothing desired: so its removal is worked on, retried and receipted as any other.

    Nothing is known of the engine's state, so it is `needs_refresh`; nor of the spec, unless its last incarnation left one.
    """
    limits = LifetimeLimits(default=None, longest=None)
    if tombstone is None:
        found = create(environment_id, owner, EnvironmentRequest(spec=Spec(image=UNKNOWN_IMAGE)), limits, now)
    else:
        request = EnvironmentRequest(tombstone.spec, tombstone.ttl, tombstone.labels)
        found = recreate(tombstone, owner, request, limits, now)
        if tombstone.receipt:
            seen = Observed(image=tombstone.receipt.image, digest=tombstone.receipt.digest)
            found = replace(found, observed=seen)
    return replace(found, present=False, needs_refresh=True, reason=reason)


def restore(environment: Environment, reason: str, now: datetime) -> Environment:
    """The record wanted as it already was, after somebody else changed what runs: it is made true once more.

    Which service it has is as much in doubt as all the rest.
    """
    observed = replace(environment.observed, service_arn=None)
    return _new_generation(replace(environment, observed=observed, needs_refresh=True, reason=reason), now)


def retry_removal(environment: Environment, now: datetime) -> Environment:
    """The record of a removal that failed for good, to be tried once more by the sweep."""
    return replace(_new_generation(environment, now), removal_retries=environment.removal_retries + 1)


def dispatched(environment: Environment, now: datetime) -> Environment:
    """The record after a worker was asked for once more."""
    return replace(environment, dispatched_at=now, version=environment.version + 1)


def _wanting(environment: Environment, *, paused: bool, now: datetime) -> Environment:
    if not environment.present:
        raise Conflict(
            f"{environment.id} is being destroyed. PUT /environments/{environment.id} brings it back.", "destroying"
        )
    if environment.paused is paused and not environment.failed_permanently:
        return environment
    return _new_generation(replace(environment, paused=paused), now)


def _new_generation(environment: Environment, now: datetime) -> Environment:
    return replace(
        environment,
        generation=environment.generation + 1,
        version=environment.version + 1,
        updated_at=now,
        dispatched_at=now,
        failure=None,
        attempts=0,
        continuations=0,
        retry_at=None,
        removal_retries=0,
    )


def _touched(before: Environment, after: Environment, now: datetime) -> Environment:
    return before if after == before else replace(after, version=before.version + 1, updated_at=now)


def _expiry(created_at: datetime, ttl: timedelta | None, now: datetime, limits: LifetimeLimits) -> datetime | None:
    wanted = None if ttl is None else now + ttl
    hard_end = None if limits.longest is None else created_at + limits.longest
    return min((moment for moment in (wanted, hard_end) if moment), default=None)

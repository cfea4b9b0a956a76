"""How the desired state of an environment changes: created, updated, adjusted, paused, removed, revived.

The rule: each function takes the record as it is and returns the record as it should be, or the same one when nothing changes.
Callers' rights are checked before, in `api.use_cases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator.domain.environment import Environment, Lease, Observed, Spec
from orchestrator.domain.errors import Conflict, ErrorCode


@dataclass(frozen=True)
class Unset:
    """What a request left out."""


UNSET = Unset()

UNKNOWN_IMAGE = "unknown"
"""The image of an orphan that never had a record."""


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """What can change without a redeploy. Labels and protection are None when a request leaves them out; no TTL means no end.

    What is left out keeps its value; in a new environment it takes the platform's default.
    """

    ttl: timedelta | None | Unset = UNSET
    labels: Mapping[str, str] | None = None
    protected: bool | None = None

    def applied(self, environment: Environment, ttl: timedelta | None, expires_at: datetime | None) -> Environment:
        """The record with this TTL and expiry, and the labels and protection that were not left out."""
        return replace(
            environment,
            ttl=ttl,
            expires_at=expires_at,
            labels=environment.labels if self.labels is None else self.labels,
            protected=environment.protected if self.protected is None else self.protected,
        )


@dataclass(frozen=True)
class EnvironmentRequest(Adjustment):
    """What a caller asks for."""

    spec: Spec


@dataclass(frozen=True)
class LifetimeLimits:
    """The platform's limits. `longest` counts from creation; None means that there is no hard end."""

    default: timedelta | None
    longest: timedelta | None


def create(
    environment_id: str,
    owner: str,
    request: EnvironmentRequest,
    limits: LifetimeLimits,
    now: datetime,
    *,
    tombstone: Environment | None = None,
    idempotency: str | None = None,
) -> Environment:
    """A record for an id that was never used, or whose last environment is destroyed and has left this tombstone.

    Of the tombstone, only incarnation, generation, token and version are continued.
    """
    ttl = limits.default if isinstance(request.ttl, Unset) else request.ttl
    fresh = Environment(
        id=environment_id,
        owner=owner,
        created_at=now,
        updated_at=now,
        dispatched_at=now,
        spec=request.spec,
        idempotency=idempotency,
    )
    if tombstone:
        fresh = replace(
            fresh,
            incarnation=tombstone.incarnation + 1,
            generation=tombstone.generation + 1,
            version=tombstone.version + 1,
            lease=Lease(token=tombstone.lease.token),
        )
    return request.applied(fresh, ttl, _expiry(now, ttl, now, limits))


def apply(environment: Environment, request: EnvironmentRequest, limits: LifetimeLimits, now: datetime) -> Environment:
    """The record with this request applied. The expiry never moves closer: max(current, now + ttl), at most the hard end.

    A paused environment is resumed. The generation grows when the spec differs, when the environment was paused or to be
    removed, or when its last operation failed for good, as asking again means trying again.

    Raises Conflict `lifetime_over` for an environment that is as old as the platform allows, unless it is protected then.
    """
    ttl = environment.ttl if isinstance(request.ttl, Unset) else request.ttl
    if environment.present:
        expiry = _later(environment.expires_at, _expiry(environment.created_at, ttl, now, limits))
    else:
        # It was to be removed: now a new one is wanted, whose time starts now.
        environment = replace(environment, created_at=now)
        expiry = _expiry(now, ttl, now, limits)
    changed = request.applied(environment, ttl, expiry)
    if limits.longest is not None and changed.created_at + limits.longest <= now and not changed.protected:
        raise Conflict(
            f"{environment.id} is as old as this platform allows. Remove it and create it again, or protect it: then it never "
            "expires.",
            ErrorCode.LIFETIME_OVER,
        )
    if (
        environment.present
        and environment.spec == request.spec
        and not environment.paused
        and not environment.failed_permanently
    ):
        return _touched(environment, changed, now)
    return _new_generation(replace(changed, spec=request.spec, present=True, paused=False, reason="requested"), now)


def adjust(environment: Environment, adjustment: Adjustment, limits: LifetimeLimits, now: datetime) -> Environment:
    """The record with another TTL (its expiry is now + ttl, at most the hard end), labels or protection; no redeploy.

    Raises Conflict `destroyed` for a tombstone.
    """
    if environment.destroyed:
        raise Conflict(f"{environment.id} is destroyed. Create it again, then adjust it.", ErrorCode.DESTROYED)
    ttl, expiry = environment.ttl, environment.expires_at
    if not isinstance(adjustment.ttl, Unset):
        ttl, expiry = adjustment.ttl, _expiry(environment.created_at, adjustment.ttl, now, limits)
    return _touched(environment, adjustment.applied(environment, ttl, expiry), now)


def remove(environment: Environment, reason: str, now: datetime, *, force: bool = False) -> Environment:
    """The record with the environment desired absent; the same record while its removal is under way, or once it is destroyed.

    Raises Conflict `protected` for a protected environment, unless forced.
    """
    if environment.destroyed or not (environment.present or environment.failed_permanently):
        return environment
    if environment.present and environment.protected and not force:
        raise Conflict(
            f"{environment.id} is protected. Remove the protection first (PATCH with protected=false), or add ?force=true.",
            ErrorCode.PROTECTED,
        )
    return _new_generation(replace(environment, present=False, paused=False, reason=reason), now)


def set_paused(environment: Environment, now: datetime, *, paused: bool) -> Environment:
    """The record with its service desired paused, when it keeps its URL and costs no CPU, or running. Its TTL goes on.

    Raises Conflict `destroyed` or `destroying` for an environment that is, or is to be, removed.
    """
    if environment.destroyed:
        raise Conflict(
            f"{environment.id} is destroyed. Bring it back with POST /environments/{environment.id}/revive.",
            ErrorCode.DESTROYED,
        )
    if not environment.present:
        raise Conflict(
            f"{environment.id} is being destroyed. Create it again with PUT /environments/{environment.id}.",
            ErrorCode.DESTROYING,
        )
    if environment.paused is paused and not environment.failed_permanently:
        return environment
    return _new_generation(replace(environment, paused=paused), now)


def revive(
    tombstone: Environment, limits: LifetimeLimits, now: datetime, *, ttl: timedelta | None | Unset
) -> Environment:
    """The next incarnation with the owner, spec, labels and protection of the last, and its TTL unless another is given.

    Where the receipt has the image's digest, that very image comes back, whatever its tag means by now. Raises Conflict
    `unknown_spec` for the tombstone of an orphan that never had a record.
    """
    receipt, spec = tombstone.receipt, tombstone.spec
    if spec.image == UNKNOWN_IMAGE:
        raise Conflict(
            f"{tombstone.id} was removed as an orphan, so its spec is not known. "
            f"Create a new one with PUT /environments/{tombstone.id}.",
            ErrorCode.UNKNOWN_SPEC,
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
    return create(tombstone.id, tombstone.owner, request, limits, now, tombstone=tombstone)


def orphan(environment_id: str, tombstone: Environment | None, owner: str, reason: str, now: datetime) -> Environment:
    """A record for an environment that runs without one, desired absent, so that its removal goes the usual way to a receipt.

    The spec is that of its last incarnation, if there was one.
    """
    limits = LifetimeLimits(default=None, longest=None)
    request = EnvironmentRequest(Spec(image=UNKNOWN_IMAGE))
    if tombstone:
        request = EnvironmentRequest(tombstone.spec, ttl=tombstone.ttl, labels=tombstone.labels)
    found = create(environment_id, owner, request, limits, now, tombstone=tombstone)
    if tombstone and tombstone.receipt:
        found = replace(found, observed=Observed(image=tombstone.receipt.image, digest=tombstone.receipt.digest))
    return replace(found, present=False, needs_refresh=True, reason=reason)


def restore(environment: Environment, reason: str, now: datetime) -> Environment:
    """The record in a new generation with the same spec, to deploy it again after what runs was changed outside fibfactory.

    Its service is looked up anew, as that may have changed too.
    """
    observed = replace(environment.observed, service_arn=None)
    return _new_generation(replace(environment, observed=observed, needs_refresh=True, reason=reason), now)


def retry_removal(environment: Environment, now: datetime) -> Environment:
    """The record of a removal that failed for good, to be tried once more."""
    return replace(_new_generation(environment, now), removal_retries=environment.removal_retries + 1)


def dispatched(environment: Environment, now: datetime) -> Environment:
    """The record after a worker was asked for again."""
    return replace(environment, dispatched_at=now, version=environment.version + 1)


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


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two expiries, of which None is the latest: it never comes."""
    return None if one is None or other is None else max(one, other)

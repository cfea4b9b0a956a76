"""The types of single settings: each checks the format that AWS requires, and describes it to the operator.

The rule: a format rejects what can't exist. Whether the thing itself exists (a role, a repository) is not checked here.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orchestrator.domain.formats import TextFormat
from orchestrator.domain.names import IMAGE_REFERENCE, IMAGE_REPOSITORY
from orchestrator.domain.ttl import TTL


def _text(pattern: str, description: str) -> AfterValidator:
    return AfterValidator(TextFormat(pattern, description).check)


PlatformId = Annotated[
    str,
    _text(
        "[a-z][a-z0-9-]{1,19}[a-z0-9]",
        "3 to 21 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    ),
]
Region = Annotated[str, _text("[a-z]{2}(-[a-z]+)+-[0-9]", "the name of a region, such as eu-west-1")]
# App Runner allows 40 characters for a name, of which an environment's id may take 24 and `-service` 8.
Prefix = Annotated[
    str,
    _text(
        "[a-z][a-z0-9-]{0,5}[a-z0-9]",
        "2 to 7 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    ),
]
ImageUri = Annotated[
    str,
    _text(
        rf"[0-9]{{12}}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/{IMAGE_REPOSITORY}{IMAGE_REFERENCE}",
        "an image in ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME with a tag or digest",
    ),
]
RoleArn = Annotated[str, _text(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+", "the ARN of a role")]
PolicyArn = Annotated[
    str, _text(r"arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+", "the ARN of a managed policy")
]
Email = Annotated[str, _text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an email address")]
Audience = Annotated[str, _text(r"\S{1,200}", "1 to 200 characters without spaces")]
Ttl = Annotated[str, AfterValidator(TTL.check)]
Schedule = Annotated[
    str,
    _text(
        r"rate\([1-9][0-9]* (minutes?|hours?|days?)\)|cron\([^()]{11,}\)",
        "a schedule such as rate(5 minutes) or cron(0 3 * * ? *)",
    ),
    Field(max_length=256),
]
# CloudWatch Logs accepts these numbers of days and no others.
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]


def time_between_runs(schedule: str) -> timedelta | None:
    """The interval of a `rate(…)`; None for a `cron(…)`, whose runs need not be evenly spaced."""
    rate = re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", schedule)
    return timedelta(**{f"{rate[2]}s": int(rate[1])}) if rate else None

"""Names for resources whose program gives none, as Pulumi makes them: the logical name and seven hex digits."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class AutoName:
    """How one resource type names itself.

    property: the input that holds the name. longest: AWS's limit in characters. lower: AWS takes lowercase only.
    """

    property: str = "name"
    longest: int = 255
    lower: bool = False


def name_for(rule: AutoName, logical: str, seed: bytes) -> str:
    """`<logical>-<7 hex>`, the same one for the same seed; without a seed a new one each time.

    The length of the suffix is pulumi-terraform-bridge's (`AutoNameOptions{Randlen: 7}`).
    """
    suffix = (hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(4))[:7]
    name = f"{logical[: rule.longest - len(suffix) - 1]}-{suffix}"
    return name.lower() if rule.lower else name

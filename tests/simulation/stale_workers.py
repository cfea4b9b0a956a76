"""Workers that are not killed at their hard limit: one stands still for longer than its lease, and then goes on.

Lambda does kill them; here it does not, so that the table alone has to refuse what they write.

The rule: what can't be fenced is counted, not hidden: App Runner and the state bucket know no token, and only the hard limit
keeps such a worker from them.
"""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.scenario import Scenario, scenario_of

_RATES = {"an invocation is doubled": 0.3, "an invocation is late": 0.2, "a clock is wrong": 0.3}


def nightmare_of(seed: int) -> Scenario:
    """The requests of a seed, worked on by workers that may stand still for long and then go on."""
    return replace(
        scenario_of(seed),
        rates=_RATES,
        furniture=(),
        acts=(),
        deep_sweeps=(),
        hard_limit=300.0,
        zombies=True,
        removes_all=False,
    )

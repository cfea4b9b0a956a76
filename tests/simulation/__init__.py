"""A deterministic simulator of the orchestrator: the real decisions, in a world that is made of a seed.

The rule: nothing of the product is imitated here but its ports. `Reconciler`, `Operations`, `recover`, `Sweep`, `DeepSweep` and
`EnvironmentService` run unchanged; time, chance, deaths, AWS and the Pulumi CLI are simulated, and all of them follow from one
number.
"""

"""A deterministic simulator of the orchestrator: the real decisions, in a world that follows from a seed.

The rule: only the ports are simulated. `Reconciler`, `Operations`, `Recovery`, `Sweep`, `DeepSweep` and `EnvironmentService` run
unchanged; time, chance, deaths, AWS and the Pulumi CLI are simulated, and all of them follow from one number.
"""

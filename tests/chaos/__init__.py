"""Real kills and faults: the platform's own functions on the local cloud, killed and disturbed from outside.

The rule: nothing in the product is replaced, and it has no code for this. A proxy between the functions and the emulated AWS
injects the faults, SIGKILL does the kills, and the results are what a caller, the table, the state bucket and App Runner show
afterwards.

`platform_fixture` is the platform behind the proxy, `effects` names what a worker changes, `kill_targets` says which processes
are killed, `kills`, `sweep_kills` and `fault_plans` are the kinds of runs, `report` prints and writes their figures, and
`acceptance` is `make chaos`.
"""

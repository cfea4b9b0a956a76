"""Crash points for real: the platform's own functions on the local cloud, killed and hindered from outside.

Rule: nothing of the product is replaced or told of it. What hinders is a proxy between the functions and the emulated AWS, and
SIGKILL; what judges is what a caller, the table, the state bucket and App Runner show afterwards.

`stage` is the platform behind the proxy, `effects` names what a worker leaves behind, `victims` says who is killed, `kills` and
`hindrances` are the two kinds of runs, `report` prints and writes their figures.
"""

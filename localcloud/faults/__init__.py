"""A proxy on loopback that stands between clients and the local cloud, and misbehaves on command.

Rule: it changes nothing until a fault is armed, and nothing behind it knows that it is there. It tells calls apart by what
any AWS client sends; what the calls are about is for those who arm the faults.

A request goes `calls` (which service, which operation, what on) → `faults` (what happens to it, and when) → `proxy` (in
between, or not). `clients` finds the process at the other end, for faults that need to know it.
"""

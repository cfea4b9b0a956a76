"""A proxy on loopback between clients and the local cloud, which injects faults on command.

Rule: it changes nothing until a fault is armed, and nothing behind it knows of it. It knows calls only by what any AWS
client sends; the meaning of their content is for the code that arms the faults.

A request passes `calls` (its service, operation and target) → `faults` (what happens to it, and when) → `proxy` (which
forwards it, or not).
"""

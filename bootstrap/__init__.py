"""The platform as a Pulumi program that an operator runs once: `python -m bootstrap deploy`.

Read it in this order: `settings` (what may be chosen), `foundations` (the bucket and the key that come first),
`platform` (what is made), `policies` (who may do what, and why), then the rest by name. `commands` and `teardown`
are what the command line does.
"""

"""What the command line does: one module for each command, and what they share.

Commands: `deploy`, `upgrade`, `outputs`, `teardown` (the command `destroy`) and `purge` (its option).
Shared: `context` (session, console, questions), `preconditions`, `platform_stack` with `progress` and `recovery`, `environments`,
`platform_api`.
"""

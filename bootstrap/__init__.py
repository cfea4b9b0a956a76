"""The platform as a Pulumi program, and the command line that deploys it: `python -m bootstrap deploy`.

Read it in this order: `settings` (what can be chosen), `foundations` (the bucket and the key that come first),
`program.platform` (what is made), `program.policies` (the roles' permissions and their reasons), `commands` (how it is run).
"""

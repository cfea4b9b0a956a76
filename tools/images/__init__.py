"""`make images`: the two container images, what they are built from, and what fills them.

`fetch.py` and `trim.py` run inside the builds, so they need nothing but Python.
"""

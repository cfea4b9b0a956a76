"""`make images`: builds the two container images, and shows what fills them.

`fetch.py` and `trim.py` run inside the builds, so they need nothing but Python.
"""

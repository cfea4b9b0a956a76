"""Set-up of a checkout: the virtual environment and the Pulumi CLI, found or made. Standard library only.

Both live in a cache outside the checkout (`${XDG_CACHE_HOME:-~/.cache}/fibfactory`), one per version, shared by all
checkouts; the checkout has one link to it, `.venv`.

Rule: an entry of the cache with its final name and its marker is whole; however a set-up was interrupted, the next one
finds either a whole entry or none.
"""

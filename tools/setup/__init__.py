"""Set-up of a checkout: the virtual environment and the Pulumi CLI, found or made. Standard library only.

Both live in a cache outside the checkout (`${XDG_CACHE_HOME:-~/.cache}/fibfactory`), one per version, shared by all
checkouts; the checkout holds one link to it, `.venv`. The rule kept: what is in the cache under its final name and with
its marker is whole; whatever interrupted a set-up, the next one finds either a whole thing or nothing.
"""

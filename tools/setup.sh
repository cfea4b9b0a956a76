#!/bin/sh
# Finds a Python that can do the rest (3.11 or newer, able to make virtual environments) and hands over to tools/setup.
# A shell script, because the machine's `python3` may be too old to read what follows. PYTHON=… names one to use.
set -u
cd "$(dirname "$0")/.." || exit 1

recent=''
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    recent=$python
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue
    exec "$python" -m tools.setup "$@"
done

if [ -n "$recent" ]; then
    version=$("$recent" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "set-up: Python $version has no module to make virtual environments with." >&2
    echo "        Install it (Debian, Ubuntu: apt-get install python$version-venv), then run this again." >&2
else
    echo "set-up: found no Python 3.11 or newer (looked for: ${PYTHON:-python3, python3.14 … python3.11})." >&2
    echo "        Install one, or name one with PYTHON=/path/to/python3, then run this again." >&2
fi
exit 1

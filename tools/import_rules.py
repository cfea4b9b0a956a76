"""`python -m tools.import_rules`: checks who imports whom, and prints the modules by layer.

The contracts are in pyproject.toml, checked by import-linter; the layers are exhaustive, so that every module is in one. Two
rules are checked here, as import-linter can't express them: what the pure packages import from outside, and what the programs at
the top level (`fibfactory.py`, `template_stack.py`) import, which are no packages.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from importlinter.cli import lint_imports
from rich.console import Console
from rich.table import Table

PURE = ("orchestrator/domain",)
"""Packages that import the standard library and themselves only."""

PROGRAMS = {
    "fibfactory.py": (
        "orchestrator.domain",
        "orchestrator.ports",
        "orchestrator.adapters.pulumi",
        "template_stack",
        "fibfactory_cli",
    ),
    "template_stack.py": ("orchestrator.domain",),
}
"""Which of our packages each program at the top level may import."""

_OURS = ("bootstrap", "fibfactory_cli", "fibservice", "localcloud", "orchestrator", "template_stack", "tests", "tools")


def main() -> int:
    """Check the imports of the checkout in the current folder; the exit code."""
    checkout = Path.cwd()
    sys.path.insert(0, str(checkout))
    options = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    faults = [*impure_imports(checkout), *forbidden_imports(checkout)]
    for fault in faults:
        print(f"{fault} BROKEN")
    show_layers(checkout, options)
    broken = lint_imports(cache_dir=str(checkout / ".import_linter_cache"), no_logo=True)
    return broken or int(bool(faults))


def impure_imports(checkout: Path) -> Iterator[str]:
    """A line for each import from outside in a pure package."""
    for package in PURE:
        allowed = {*sys.stdlib_module_names, package.replace("/", ".")}
        for file in sorted((checkout / package).rglob("*.py")):
            for name in imports(file):
                if name.partition(".")[0] not in allowed and not name.startswith(package.replace("/", ".")):
                    yield f"{package} is pure: {file.name} imports {name}"


def forbidden_imports(checkout: Path) -> Iterator[str]:
    """A line for each import of a program at the top level that is not allowed."""
    for program, allowed in PROGRAMS.items():
        for name in imports(checkout / program):
            if name.partition(".")[0] in _OURS and not name.startswith(allowed or ("\0",)):
                yield f"{program} imports {name}"


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def show_layers(checkout: Path, options: dict[str, Any]) -> None:
    """Print the layers of each package, from top to bottom, with their modules."""
    table = Table(
        "layer, top to bottom", "modules", "names", title="Who may import whom: only downwards", title_justify="left"
    )
    for contract in options["contracts"]:
        if contract["type"] == "layers":
            for container in contract["containers"]:
                for layer in contract["layers"]:
                    for name in layer.split(" | "):
                        found = modules(checkout / container / name)
                        table.add_row(f"{container}.{name}", str(len(found)), ", ".join(found))
                table.add_section()
    Console(width=120).print(table)


def modules(path: Path) -> list[str]:
    """The modules at or below this path, by their dotted names."""
    if path.with_suffix(".py").is_file():
        return [path.name]
    return [
        ".".join(file.relative_to(path).with_suffix("").parts)
        for file in sorted(path.rglob("*.py"))
        if file.name != "__init__.py"
    ]


if __name__ == "__main__":
    sys.exit(main())

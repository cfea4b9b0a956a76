"""Runs inside the build: removes from a generated Pulumi package all modules that no program uses.

    python trim.py PACKAGE_FOLDER PROGRAM.py …

`pulumi_aws` has some two hundred modules, one for each AWS service, and a template uses a few. Kept are those that the programs
name (`aws.sqs.Queue` keeps `sqs`), and those that these import. A removed module stays as a file that raises an ImportError,
because the package looks for all of its modules when it is imported itself.

Rule: every name that a program uses is looked up in the trimmed package here, so a missing one fails the build. All is kept for a
program that uses the package in a way that can't be followed.
"""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_ALWAYS = {"config"}
_SIBLINGS = re.compile(r"^\s*from \.\. import (.+)$|^\s*from \.\.(\w+)\b|^\s*import \w+\.(\w+)", re.MULTILINE)


class CannotFollow(Exception):
    """The package is used in a way that does not show which modules are needed."""


def main(arguments: list[str]) -> int:
    """Trim the package; the exit code: 0, or 1 with a sentence on standard error."""
    package, *programs = map(Path, arguments)
    try:
        names = {name for program in programs for name in names_used(program, package.name)}
    except CannotFollow as reason:
        print(f"{package.name}: kept whole: {reason}")
        return 0
    trim(package, {name.split(".")[0] for name in names})
    sys.path.insert(0, str(package.parent))
    if missing := [name for name in sorted(names) if not is_there(package.name, name)]:
        print(f"{package.name} {_version(package)} has no {', '.join(missing)}: see the template.", file=sys.stderr)
        return 1
    return 0


def names_used(program: Path, package: str) -> set[str]:
    """The dotted names in `package` that a program uses: `Provider`, `apprunner.Service`. Raises `CannotFollow`."""
    tree = ast.parse(program.read_text(encoding="utf-8"), str(program))
    names: set[str] = set()
    aliases: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                root, _, rest = each.name.partition(".")
                if root == package:
                    names |= {rest} if rest else set()
                    aliases |= {each.asname or root} if each.asname is None or not rest else set()
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package and not node.level:
            rest = (node.module or "").partition(".")[2]
            if any(each.name == "*" for each in node.names) and not rest:
                raise CannotFollow(f"{program.name}, line {node.lineno}, imports all of its names")
            names |= {rest} if rest else {each.name for each in node.names}
    return names | set(_attributes(tree, aliases, program))


def _attributes(tree: ast.AST, aliases: set[str], program: Path) -> Iterator[str]:
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Name) and node.id in aliases):
            continue
        name = []
        above = parents[node]
        while isinstance(above, ast.Attribute):
            name.append(above.attr)
            above = parents[above]
        if not name:
            raise CannotFollow(f"{program.name}, line {node.lineno}, uses it otherwise than as `{node.id}.NAME`")
        # Two parts are a module and what is in it; what follows are a class's own names.
        yield ".".join(name[:2])


def trim(package: Path, used: Iterable[str]) -> None:
    """Remove each module of the package that is neither used nor imported by a used one."""
    modules = {each.name for each in package.iterdir() if (each / "__init__.py").is_file()}
    kept = needed(package, (set(used) | _ALWAYS) & modules, modules)
    for name in modules - kept:
        shutil.rmtree(package / name)
        (package / name).mkdir()
        (package / name / "__init__.py").write_text(f"raise ImportError({_left_out(package.name, name)!r})\n")
    print(f"{package.name}: kept {', '.join(sorted(kept))}; left out {len(modules - kept)} others")


def needed(package: Path, used: set[str], modules: set[str]) -> set[str]:
    """The used modules and all that they import, directly or not."""
    kept: set[str] = set()
    waiting = set(used)
    while waiting:
        kept |= waiting
        waiting = {other for module in waiting for other in _imported(package / module)} & modules - kept
    return kept


def _imported(module: Path) -> Iterator[str]:
    for file in module.rglob("*.py"):
        for names, sibling, absolute in _SIBLINGS.findall(file.read_text(encoding="utf-8")):
            yield from (name.split()[0] for name in names.split(",") if name.strip())
            yield from (each for each in (sibling, absolute) if each)


def is_there(package: str, name: str) -> bool:
    """Whether the package, as it is now, has this name."""
    found: object = importlib.import_module(package)
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def _left_out(package: str, name: str) -> str:
    return (
        f"{package}.{name} was left out of this image, as the template does not use it. "
        f"Name it in template_stack.py and build the image again."
    )


def _version(package: Path) -> str:
    return next(
        (each.name.split("-")[1].removesuffix(".dist") for each in package.parent.glob(f"{package.name}-*.dist-info")),
        "",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

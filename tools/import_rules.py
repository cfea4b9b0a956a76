"""`python -m tools.import_rules`: import-linter with the contracts of pyproject.toml, for the parts that exist.

The rule kept: the contracts are written once, for the whole house; import-linter refuses a contract that names a module
that is not there, so the names of parts still to be built are left out here, and hold from the day they appear.
"""

from __future__ import annotations

import configparser
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from importlinter.cli import lint_imports

# Options of contracts that name modules of ours which must exist.
NAMING = ("modules", "source_modules", "containers")


def main() -> int:
    """Check the imports of the checkout this file is in; the exit code."""
    checkout = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(checkout))
    options = existing_only(tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["importlinter"], checkout)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "contracts.ini"
        write_ini(options, config)
        return lint_imports(config_filename=str(config), cache_dir=str(checkout / ".import_linter_cache"), no_logo=True)


def existing_only(options: Mapping[str, Any], checkout: Path) -> dict[str, Any]:
    """The same options without the modules that the checkout lacks, and without contracts that lost all of theirs."""
    contracts = [_reduced(contract, checkout) for contract in options["contracts"]]
    kept = [contract for contract in contracts if all(contract.get(name, True) for name in NAMING)]
    return {**options, "root_packages": _present(options["root_packages"], checkout), "contracts": kept}


def write_ini(options: Mapping[str, Any], path: Path) -> None:
    """Write options in import-linter's other format; the standard library writes no TOML."""
    ini = configparser.ConfigParser(interpolation=None)
    ini["importlinter"] = {name: _text(value) for name, value in options.items() if name != "contracts"}
    for number, contract in enumerate(options["contracts"]):
        ini[f"importlinter:contract:{number}"] = {name: _text(value) for name, value in contract.items()}
    with path.open("w", encoding="utf-8") as file:
        ini.write(file)


def _reduced(contract: Mapping[str, Any], checkout: Path) -> dict[str, Any]:
    return {name: _present(value, checkout) if name in NAMING else value for name, value in contract.items()}


def _present(modules: list[str], checkout: Path) -> list[str]:
    bases = {module: checkout / module.replace(".", "/") for module in modules}
    return [module for module, base in bases.items() if _is_module(base)]


def _is_module(base: Path) -> bool:
    return (base / "__init__.py").is_file() or base.with_suffix(".py").is_file()


def _text(value: Any) -> str:
    return "\n" + "\n".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main())

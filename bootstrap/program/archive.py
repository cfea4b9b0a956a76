"""The functions' code as a zip of fibfactory's own code.

The rule: it contains `orchestrator/` and `template_stack.py`, file by file and in a fixed order, so that the same code makes the
same archive everywhere. It does not contain dependencies: the runtime must have them.
"""

from __future__ import annotations

from pathlib import Path

import pulumi

from bootstrap.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
_PACKAGE, _TEMPLATE = "orchestrator", "template_stack.py"


def archive_files(root: Path) -> list[Path]:
    """The files of the archive, relative to `root` and sorted. Raises SettingsError when the code is not there."""
    package = [file.relative_to(root) for file in (root / _PACKAGE).rglob("*") if file.is_file()]
    files = [file for file in package if not any(part == "__pycache__" or part.startswith(".") for part in file.parts)]
    if not files or not (root / _TEMPLATE).is_file():
        raise SettingsError(
            f"{root} does not contain {_PACKAGE}/ and {_TEMPLATE}, which the archive is made of.",
            "Run this from a checkout, or use --code image.",
        )
    return sorted([*files, Path(_TEMPLATE)])


def code_archive(root: Path = ROOT) -> pulumi.AssetArchive:
    """The zip, for `aws.lambda_.Function.code`. Pulumi packs it with fixed times and compares it by content."""
    return pulumi.AssetArchive({file.as_posix(): pulumi.FileAsset(str(root / file)) for file in archive_files(root)})

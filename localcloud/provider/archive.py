"""Assets and archives as Pulumi sends them, made into the bytes of a zip file.

The rule: the same contents make the same bytes (fixed dates, sorted names), so that a hash of them means something.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localcloud.provider.errors import ProviderError
from localcloud.provider.property_values import SIGNATURE

# The marks of an asset and an archive, from sdk/go/common/resource/sig.
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

_DATE = (1980, 1, 1, 0, 0, 0)


def is_packed(value: Any) -> bool:
    """Whether a value is an asset or an archive."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) in (ASSET, ARCHIVE)


def zip_bytes(value: Mapping[str, Any], folder: Path) -> bytes:
    """The zip file of an archive; a relative path is below `folder`.

    Raises ProviderError for something that is not an archive or whose files are not there.
    """
    if not is_packed(value) or value.get(SIGNATURE) != ARCHIVE:
        raise ProviderError("expected an archive of code (AssetArchive, or FileArchive of a folder)")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data, executable in sorted(_files(value, folder)):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            packed.writestr(entry, data)
    return buffer.getvalue()


def _files(value: Mapping[str, Any], folder: Path, prefix: str = "") -> Iterator[tuple[str, bytes, bool]]:
    path = folder / value["path"] if value.get("path") else None
    if value.get(SIGNATURE) == ASSET:
        if "uri" in value:
            raise ProviderError(f"the stand-in provider does not fetch {value['uri']}: give a file or a text")
        # The engine sends an empty text as no text at all.
        data = _read(path) if path else str(value.get("text", "")).encode()
        yield prefix.rstrip("/"), data, path is not None and os.access(path, os.X_OK)
    elif "assets" in value:
        for name, item in value["assets"].items():
            yield from _files(item, folder, f"{prefix}{name}" + ("" if item.get(SIGNATURE) == ASSET else "/"))
    elif path is not None and path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield prefix + file.relative_to(path).as_posix(), _read(file), os.access(file, os.X_OK)
    else:
        raise ProviderError(f"{path or value.get('uri')} is not a folder: the stand-in provider packs folders only")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ProviderError(f"cannot read {path}: {exc.strerror}") from exc

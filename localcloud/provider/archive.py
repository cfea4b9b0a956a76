"""Assets and archives as Pulumi sends them, made into the bytes of a zip file.

The rule: the same contents make the same bytes (fixed dates, sorted names), so that a hash of them means something.
"""

from __future__ import annotations

import io
import os
import tarfile
import urllib.request
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
    """The zip file of an archive; a relative path is below `folder`. A zip file on disk is taken as it is.

    Raises ProviderError for something that is not an archive or whose files are not there.
    """
    if not is_packed(value) or value.get(SIGNATURE) != ARCHIVE:
        raise ProviderError("expected an archive of code (FileArchive, AssetArchive or RemoteArchive)")
    path = _path(value, folder)
    if path is not None and path.suffix in (".zip", ".jar"):
        return _read(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data, executable in sorted(_files(value, folder)):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            packed.writestr(entry, data)
    return buffer.getvalue()


def _files(value: Mapping[str, Any], folder: Path, prefix: str = "") -> Iterator[tuple[str, bytes, bool]]:
    path = _path(value, folder)
    if value.get(SIGNATURE) == ASSET:
        yield prefix.rstrip("/"), _asset(value, path), path is not None and os.access(path, os.X_OK)
    elif "assets" in value:
        for name, item in value["assets"].items():
            yield from _files(item, folder, f"{prefix}{name}" + ("" if item.get(SIGNATURE) == ASSET else "/"))
    elif path is not None and path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield prefix + file.relative_to(path).as_posix(), _read(file), os.access(file, os.X_OK)
    else:
        yield from _unpacked(path.name if path else str(value.get("uri")), _asset(value, path), prefix)


def _unpacked(name: str, data: bytes, prefix: str) -> Iterator[tuple[str, bytes, bool]]:
    if name.endswith((".zip", ".jar")):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    yield prefix + entry.filename, packed.read(entry), bool(entry.external_attr >> 16 & 0o100)
    elif name.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield prefix + member.name, file.read(), bool(member.mode & 0o100)
    else:
        raise ProviderError(f"{name} is not an archive: expected a folder, .zip, .jar, .tar, .tar.gz or .tgz")


def _asset(value: Mapping[str, Any], path: Path | None) -> bytes:
    if "text" in value:
        return str(value["text"]).encode()
    if path is not None:
        return _read(path)
    if "uri" in value:
        with urllib.request.urlopen(value["uri"], timeout=60) as answer:
            return bytes(answer.read())
    # The engine sends an empty text as no text at all.
    return b""


def _path(value: Mapping[str, Any], folder: Path) -> Path | None:
    return folder / value["path"] if value.get("path") else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ProviderError(f"cannot read {path}: {exc.strerror}") from exc

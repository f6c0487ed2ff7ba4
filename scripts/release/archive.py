"""Archives whose bytes depend on their content alone."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A file of an archive, or a folder if `content` is None."""

    name: str
    content: bytes | None
    mode: int = 0o644
    owner: int = 0


def tar(entries: Iterable[Entry], time: int) -> bytes:
    """A tar with its entries in the order of their names, all of one time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in sorted(entries):
            header = tarfile.TarInfo(entry.name)
            header.mtime, header.mode, header.uid, header.gid = (
                time,
                entry.mode,
                entry.owner,
                entry.owner,
            )
            if entry.content is None:
                header.type = tarfile.DIRTYPE
                archive.addfile(header)
            else:
                header.size = len(entry.content)
                archive.addfile(header, io.BytesIO(entry.content))
    return packed.getvalue()


def compress(content: bytes) -> bytes:
    """The content as gzip, without a name and a time."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def entries_below(folder: Path, prefix: str) -> list[Entry]:
    """The files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [Entry(f"{prefix}/{path.relative_to(folder)}", path.read_bytes()) for path in files]

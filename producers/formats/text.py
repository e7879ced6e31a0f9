"""The bytes of a file, whatever it is packed in, in chunks that end at line ends: so no file is too long.

A zip may have one text in it (HistData's has a note beside it, which is passed over); `.gz` is taken too. UTF-16 with a
byte order mark, as some terminals write, comes out as UTF-8.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from infra.errors import BadFile, FileUnreadable
from producers.unzip import MAX_RATIO, MODEST_BYTES, check_kind

CHUNK: Final = 8 * 2**20
"""Bytes that are read at once."""
MAX_LINE: Final = 2**20
"""Longest line; what has a longer one is no text of rows."""

_ZIP: Final = b"PK"
_GZIP: Final = b"\x1f\x8b"
_DATA: Final = (".csv", ".txt", ".tsv", ".prn", ".bi5", ".parquet", "")


@contextmanager
def opened(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """(name of what is inside, its bytes unpacked). Raises BadFile, also while it is read."""
    try:
        check_kind(path)
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == _GZIP:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield path.name.removesuffix(".gz"), cast(IO[bytes], stream)
            elif magic[:2] == _ZIP:
                with ZipFile(file) as archive:
                    member = _member(path, archive)
                    with archive.open(member) as stream:
                        yield member.filename, stream
            elif path.suffix.lower() in (".zip", ".gz"):
                raise BadFile(f"{path}: is named {path.suffix} but is none (or its start is lost): get it once more")
            else:
                yield path.name, file
    except (BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise BadFile(
            f"{path}: the archive is damaged ({error}), so nothing in it can be vouched for: get the file once more"
        ) from error
    except NotImplementedError as error:
        raise BadFile(f"{path}: the zip needs what can't be read here ({error}): pack it again with deflate") from error
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error


def read_all(path: Path, limit: int) -> tuple[str, bytes]:
    """(name, everything in it): for formats that can't be cut. Raises BadFile above `limit` bytes."""
    with opened(path) as (name, stream):
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise BadFile(f"{path}: holds more than the {limit} bytes allowed for a file of its kind: split it")
        return name, data


def chunks(path: Path) -> Iterator[bytes]:
    """The text as UTF-8 in chunks of whole lines, without a byte order mark. Raises BadFile."""
    packed = path.stat().st_size if path.exists() else 0
    with opened(path) as (_, stream):
        decode: Callable[[bytes, bool], bytes] | None = None
        rest, total = b"", 0
        while True:
            data = stream.read(CHUNK)
            if decode is None:
                decode, data = _decoder(path, data)
            total += len(data)
            if total > MODEST_BYTES and total > MAX_RATIO * 4 * max(packed, 1):
                raise BadFile(
                    f"{path}: unpacks to more than {MAX_RATIO * 4} times its size: a bomb, or no ticks; unpack it first"
                )
            text = rest + decode(data, not data)
            if not data:
                if text:
                    yield text
                return
            end = text.rfind(b"\n") + 1
            rest = text[end:]
            if len(rest) > MAX_LINE:
                raise BadFile(f"{path}: a line of it is longer than {MAX_LINE} bytes: it is no text of rows")
            if end:
                yield text[:end]


def content_hash(path: Path) -> str:
    """SHA-256 of the file as it lies on the disk, in hex. Raises BadFile."""
    try:
        check_kind(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error


def _decoder(path: Path, data: bytes) -> tuple[Callable[[bytes, bool], bytes], bytes]:
    """(how bytes become UTF-8, the first bytes without their mark)."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return _utf16(path, encoding), data[len(mark) :]
    return (lambda piece, _: piece), data.removeprefix(codecs.BOM_UTF8)


def _utf16(path: Path, encoding: str) -> Callable[[bytes, bool], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()

    def decode(piece: bytes, final: bool) -> bytes:
        try:
            return decoder.decode(piece, final).encode()
        except UnicodeError as error:
            raise BadFile(f"{path}: is not the {encoding} text that it says it is: {error}") from error

    return decode


def _member(path: Path, archive: ZipFile) -> ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if not members:
        raise BadFile(f"{path}: the zip is empty")
    for suffix in (".csv", *_DATA):
        fitting = [m for m in members if Path(m.filename).suffix.lower() == suffix]
        if len(fitting) == 1:
            members = fitting
            break
    if len(members) > 1:
        names = ", ".join(m.filename for m in members[:3])
        raise BadFile(f"{path}: the zip has {len(members)} members ({names} …) instead of one: pack each by itself")
    if members[0].flag_bits & 1:
        raise BadFile(f"{path}: the zip is locked with a password: unpack it and name the file in it")
    return members[0]

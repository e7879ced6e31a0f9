"""The one text in a file or zip, read whole within limits: a small zip can hold more than the machine has room for."""

from __future__ import annotations

import stat
import zlib
from pathlib import Path
from typing import Final, NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

from infra.errors import BadFile, FileUnreadable

MAX_BYTES: Final = 512 * 2**20
"""Most bytes of a text: some 18 million ticks, more than any day of one symbol has had."""
MAX_RATIO: Final = 100
"""How many times longer than its zip a text above MODEST_BYTES may be; ticks as text shrink 5 to 12 times."""
MODEST_BYTES: Final = 32 * 2**20

_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CHUNK: Final = 2**20


class Text(NamedTuple):
    """What was in the file."""

    name: str
    """Of the member for a zip, else of the file itself."""
    data: bytes


def read_text(path: Path) -> Text:
    """The text in `path`, or in the only member of the zip that it is. Raises BadFile."""
    try:
        check_kind(path)
        with path.open("rb") as file:
            is_zip = file.read(4) in _ZIP_MAGICS
            if is_zip:
                return _read_zip(path)
            if path.suffix.lower() == ".zip":
                raise BadFile(f"{path}: is named .zip but is none (or its start is lost): get the file once more")
            if (size := file.seek(0, 2)) > MAX_BYTES:
                raise BadFile(f"{path}: {size} bytes are more than the {MAX_BYTES} allowed: split it by day")
            file.seek(0)
            return Text(path.name, file.read())
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error


def check_kind(path: Path) -> None:
    """Raises BadFile for what is no regular file, and OSError."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise BadFile(f"{path}: is a folder: name the files in it, such as {path}/*.zip")
    if not stat.S_ISREG(mode):
        raise BadFile(f"{path}: is not a regular file")


def _read_zip(path: Path) -> Text:
    try:
        with ZipFile(path) as archive:
            member = _only_member(path, archive)
            _check_size(path, member)
            return Text(member.filename, _inflate(archive, member))
    except (BadZipFile, zlib.error, EOFError) as error:
        raise BadFile(
            f"{path}: the zip is damaged ({error}), so nothing in it can be vouched for: get the file once more"
        ) from error
    except NotImplementedError as error:
        raise BadFile(f"{path}: the zip needs what can't be read here ({error}): pack it again with deflate") from error


def _only_member(path: Path, archive: ZipFile) -> ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if not members:
        raise BadFile(f"{path}: the zip is empty")
    if len(members) > 1:
        names = ", ".join(member.filename for member in members[:3])
        raise BadFile(f"{path}: the zip has {len(members)} members ({names} …) instead of one: pack each by itself")
    if members[0].flag_bits & 1:
        raise BadFile(f"{path}: the zip is locked with a password: unpack it and import the file in it")
    return members[0]


def _check_size(path: Path, member: ZipInfo) -> None:
    size, packed = member.file_size, max(member.compress_size, 1)
    if size > MAX_BYTES:
        raise BadFile(f"{path}: {member.filename} would unpack to {size} bytes, more than the {MAX_BYTES} allowed")
    if size > MODEST_BYTES and size > MAX_RATIO * packed:
        raise BadFile(
            f"{path}: {member.filename} would unpack to {size} bytes, {size // packed} times its size: "
            f"a zip bomb, or no ticks (at most {MAX_RATIO} times is allowed)"
        )


def _inflate(archive: ZipFile, member: ZipInfo) -> bytes:
    # Chunks bound what a zip that lies about its size can make the decompressor allocate; the sum can't exceed the
    # size it declares, and the checksum is compared at the end.
    chunks = []
    with archive.open(member) as text:
        while chunk := text.read(_CHUNK):
            chunks.append(chunk)
    return b"".join(chunks)

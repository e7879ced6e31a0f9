"""The sample day is in the package, whole and attributed."""

from __future__ import annotations

import hashlib
from zipfile import ZipFile

from producers.sample import SAMPLE_DAY

SHA256 = {
    "oanda/EURUSD": "8b1dc52c614c1f3db9fa5cee5d60d0918b71b99a46ae1bf57b72ff1a15e72eff",
    "fxcm/EURUSD": "a4d4cb82de802d972b00599b711e9d5c7afb90180b403a43009c366bd29a4a01",
}


def test_both_feeds_of_the_day_are_there_unchanged() -> None:
    assert {file.listing: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in SAMPLE_DAY} == SHA256


def test_the_counts_are_the_files() -> None:
    for file in SAMPLE_DAY:
        with ZipFile(file.path) as archive:
            (member,) = archive.namelist()
            assert len(archive.read(member).splitlines()) == file.ticks


def test_the_notice_names_the_owners_and_the_licence() -> None:
    notice = (SAMPLE_DAY[0].path.parents[2] / "NOTICE.md").read_text()
    for word in ("OANDA", "FXCM", "QuantConnect", "LEAN", "Apache License 2.0"):
        assert word in notice

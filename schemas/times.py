"""Times as text: ISO 8601 in UTC, as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS = -62_135_596_800_000
"""0001-01-01, the first time that has an ISO text here."""
END_MS = 253_402_300_800_000
"""One past 9999-12-31, the last."""


def parse_time_ms(text: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 date or time; without a zone it is UTC; a fraction of one is cut.

    Raises ValueError with what was expected.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write 2014-05-06 or 2014-05-06T13:30:00, in UTC") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso_ms(time_ms: int) -> str:
    """`2014-05-06T00:00:00.158Z`; what no calendar of four-digit years has reads `-infinity` or `infinity`."""
    if time_ms < FIRST_MS:
        return "-infinity"
    if time_ms >= END_MS:
        return "infinity"
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z".rjust(24, "0")

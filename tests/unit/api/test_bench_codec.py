"""`bench codec` holds both decoders equal before it says how fast they are."""

from __future__ import annotations

import pytest

from api.bench import codec
from schemas.ticks import TickBlock


def test_its_results_have_the_names_and_goals_that_others_read() -> None:
    report = codec.run(least_s=0.0, most=3)
    assert report.name == "codec"
    assert report.equal
    goals = {
        "codec.block100.ratio": 10.0,
        "codec.block100.hmac_ratio": 5.0,
        "codec.block4096.ratio": 30.0,
        "codec.block4096.hmac_ratio": 15.0,
    }
    names = {f"codec.block{size}.{kind}ratio" for size in (2, 10, 100, 4096) for kind in ("", "hmac_")}
    assert {r.id: r.goal for r in report.results} == dict.fromkeys(names) | goals
    assert all(r.value > 0 for r in report.results)


def test_without_equality_there_are_no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = codec.decode_into

    def wrong(value: bytes, columns: codec.Columns, first: int) -> TickBlock:
        block = decode(value, columns, first)
        return block._replace(ask=block.bid)

    monkeypatch.setattr(codec, "decode_into", wrong)
    report = codec.run(least_s=0.0, most=2)
    assert not report.equal
    assert report.results == []

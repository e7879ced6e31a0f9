"""`tickledger query WHAT --help` tells what each column says."""

from __future__ import annotations

import pytest

from api import cli
from projections.columns import COLUMNS
from projections.fill_audit import is_fill_id
from schemas.identity import parse_signal_id


@pytest.mark.parametrize("what", COLUMNS)
def test_help_names_each_column(what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main(["query", what, "--help"])
    said = capsys.readouterr().out

    for column in COLUMNS[what]:
        assert f"{column.name} " in said
        assert column.doc[:40] in said


def test_help_of_the_walk_shows_ids_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main(["query", "audit", "--help"])
    said = capsys.readouterr().out

    assert is_fill_id("desk@6/demo/0")
    assert str(parse_signal_id("berserker@3/demo/EURUSD/17")) in said
    assert "desk@6/demo/0" in said

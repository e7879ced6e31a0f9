"""`tickledger query WHAT --help` tells what each column says."""

from __future__ import annotations

import pytest

from api import cli
from projections.columns import COLUMNS


@pytest.mark.parametrize("what", COLUMNS)
def test_help_names_each_column(what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main(["query", what, "--help"])
    said = capsys.readouterr().out

    for column in COLUMNS[what]:
        assert f"{column.name} " in said
        assert column.doc[:40] in said

"""The numbered files as they ship."""

from __future__ import annotations

import re

import pytest

from projections import migrate
from projections.copy import BARS, TICK_BLOCKS, TICKS, Layout

ALL = "\n".join(m.sql for m in migrate.migrations()) + migrate._VERSIONS
TABLE = re.compile(r"create table (?:if not exists )?tickledger\.(\w+) \((.*?)\n\)", re.DOTALL)


def columns() -> list[tuple[str, str]]:
    found = []
    for name, body in TABLE.findall(ALL):
        found += [(name, line.split()[0]) for line in body.splitlines() if line.strip() and "key (" not in line]
    return found


def test_files_are_numbered_densely_from_one() -> None:
    assert [m.version for m in migrate.migrations()] == list(range(1, len(migrate.migrations()) + 1))


@pytest.mark.parametrize(("table", "column"), columns())
def test_every_column_is_described(table: str, column: str) -> None:
    assert re.search(rf"comment on column tickledger\.{table}\.{column} is '.+';", ALL)


def test_every_table_is_described() -> None:
    made = re.findall(r"create table (?:if not exists )?tickledger\.(\w+)", ALL)

    assert [name for name in made if f"comment on table tickledger.{name} is" not in ALL] == []


@pytest.mark.parametrize("table", ["ticks", "tick_blocks", "bars", "signals"])
def test_large_tables_have_time_in_their_key_as_a_hypertable_wants(table: str) -> None:
    body = dict(TABLE.findall(ALL))[table]

    assert "time" in re.search(r"primary key \((.*?)\)", body)[1].split(", ")  # type: ignore[index]


@pytest.mark.parametrize("layout", [TICKS, TICK_BLOCKS, BARS], ids=lambda layout: layout.name)
def test_a_layout_names_the_columns_of_its_table(layout: Layout) -> None:
    assert [column for table, column in columns() if table == layout.name] == list(layout.columns)

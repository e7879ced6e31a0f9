"""Everything that a database has of the log, without the numbers that are its own."""

from __future__ import annotations

from typing import Any

import psycopg

_NAMED = {
    "listing_id": "(select name from tickledger.listings where id = listing_id) as listing",
    "operator_id": "(select name from tickledger.operators where id = operator_id) as operator",
    "account_id": "(select name from tickledger.accounts where id = account_id) as account",
}


def contents(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table as text, sorted; ids of listings, operators and accounts as their names."""
    found = {}
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'tickledger'::regnamespace and relkind in ('r', 'p') "
            "and not relispartition and relname not in ('schema_version', 'listings', 'operators', 'accounts') "
            "order by 1"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(
                "select attname from pg_attribute where attrelid = ('tickledger.' || %s)::regclass and attnum > 0 "
                "and not attisdropped order by attnum",
                (table,),
            ).fetchall()
            chosen = ", ".join(_NAMED.get(name, f'"{name}"::text') for (name,) in columns)
            found[table] = sorted(
                connection.execute(f"select {chosen} from tickledger.{table}".encode()).fetchall(), key=str
            )
    return found

"""Set-up calls every kernel of the importer with the types that an import calls it with."""

from __future__ import annotations

from producers import judge, log_scan
from producers.formats import rows
from producers.warm import warm


def test_every_kernel_of_the_importer_is_compiled() -> None:
    warm()
    for kernel in (judge._judge, log_scan._failure_of, log_scan._search, rows.parse_rows):
        assert kernel.signatures

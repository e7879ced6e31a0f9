"""Where services listen, noted side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.stack.addresses import record_address, recorded_port
from infra.stack.home import Home


def test_services_that_start_at_once_are_all_noted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.mkdir()
    with ThreadPoolExecutor(8) as threads:
        for round_ in range(1, 20):
            list(threads.map(lambda i, r=round_: record_address(home, f"s{i}", f"127.0.0.1:{r * 100 + i}"), range(8)))
            assert [recorded_port(home, f"s{i}") for i in range(8)] == [round_ * 100 + i for i in range(8)]

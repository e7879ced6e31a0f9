"""A sweep's files are the same whichever process writes them, and what can't be written is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.lab.sweep.findings import Findings
from api.lab.sweep.outcome import failed_row
from api.lab.sweep.pool import COPIES
from api.lab.sweep.writer import Writer
from infra.errors import CannotWrite

FOUND = Findings(
    name="some",
    axes=(),
    rows=[failed_row(-1, 0, {}, "why not")],
    asked=1,
    by="sharpe",
    least_trades=10,
    currency="EUR",
    money_digits=2,
    facts=["EURUSD"],
)
_APART = """
import sys
from pathlib import Path
from tests.unit.api.lab.sweep.test_writer import FOUND, Writer
with Writer(apart=True) as writer:
    {before}
    writer.write(FOUND, Path(sys.argv[1]))
print(writer._process.exitcode, "polars" in sys.modules)
"""


def apart(folder: Path, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """A process that hasn't loaded what writes, as that of the command."""
    code = _APART.format(before=before)
    return subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.skipif(not COPIES, reason="no copies of a process here")
@pytest.mark.parametrize(
    ("before", "said"), [("pass", "0 False"), ("writer._process.kill(); writer._process.join()", "-9 True")]
)
def test_a_process_of_its_own_writes_what_the_first_one_would(tmp_path: Path, before: str, said: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with Writer(apart=False) as writer:
        writer.write(FOUND, one)
    done = apart(other, before)
    assert done.stdout.strip() == said, done.stderr
    assert set(files(one)) == {"results.parquet", "sweep.html"}
    assert files(one) == files(other)


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="nowhere"), Writer(apart=False) as writer:
        writer.write(FOUND, tmp_path / "nowhere")
    assert "infra.errors.CannotWrite: " in apart(tmp_path / "nowhere").stderr


def test_one_that_has_nothing_to_write_ends(tmp_path: Path) -> None:
    assert apart(tmp_path, "raise SystemExit(7)").returncode == 7
    assert not files(tmp_path)

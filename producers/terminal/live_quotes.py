"""A real terminal of which quotes are asked and nothing else: trading on paper has no way to send an order there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.errors import MissingPart
from infra.settings import Settings, TerminalSettings
from producers.mt5 import AccountInfo, Mt5, Mt5Quotes, SymbolInfo, TerminalError, TerminalInfo, Tick, connect

CALLS: Final = frozenset(
    [
        "initialize", "last_error", "terminal_info", "account_info", "symbols_get", "symbol_info", "symbol_info_tick",
        "symbol_select", "copy_ticks_from", "copy_ticks_range",
    ]
)  # fmt: skip
"""All that is ever asked of a real terminal for trading on paper."""


class NotAQuote(AssertionError):
    """A call that isn't one of `CALLS`: it was not made."""


class QuotesOnly:
    """The face of a terminal that only shows quotes; satisfies `producers.mt5.Mt5Quotes`.

    The terminal behind it is held by one function that makes the calls in `CALLS` and no other.
    """

    __slots__ = ("_ask", "_leave")

    def __init__(self, mt5: Mt5) -> None:
        self._ask = _only_quotes(mt5)
        # An rpyc server's connection to its terminal is everybody's: that one is left, not ended.
        self._leave: Callable[[], Any] = getattr(mt5, "close", None) or mt5.shutdown

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("initialize", *args, **kwargs))

    def shutdown(self) -> None:
        """Leaves the terminal."""
        self._leave()

    def last_error(self) -> tuple[int, str]:
        code, text = self._ask("last_error")
        return code, text

    def terminal_info(self) -> TerminalInfo | None:
        found: TerminalInfo | None = self._ask("terminal_info")
        return found

    def account_info(self) -> AccountInfo | None:
        found: AccountInfo | None = self._ask("account_info")
        return found

    def symbols_get(self, *args: Any, **kwargs: Any) -> Sequence[SymbolInfo] | None:
        found: Sequence[SymbolInfo] | None = self._ask("symbols_get", *args, **kwargs)
        return found

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        found: SymbolInfo | None = self._ask("symbol_info", symbol)
        return found

    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        found: Tick | None = self._ask("symbol_info_tick", symbol)
        return found

    def symbol_select(self, symbol: str, enable: bool = True, /) -> bool:
        return bool(self._ask("symbol_select", symbol, enable))

    def copy_ticks_from(self, symbol: str, date_from: int, count: int, flags: int, /) -> NDArray[np.void] | None:
        found: NDArray[np.void] | None = self._ask("copy_ticks_from", symbol, date_from, count, flags)
        return found

    def copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int, /) -> NDArray[np.void] | None:
        found: NDArray[np.void] | None = self._ask("copy_ticks_range", symbol, date_from, date_to, flags)
        return found


class LiveTerminal(NamedTuple):
    """Which real terminal, and how it is reached."""

    settings: Settings
    """With `terminal` being the real one."""

    @classmethod
    def of(cls, settings: Settings) -> LiveTerminal:
        """The one that the section `paper` names."""
        told = settings.paper
        assert told.terminal
        real = TerminalSettings(
            kind=told.terminal, host=told.host, port=told.port, path=told.path, login=told.login,
            password=told.password, server=told.server, timeout_ms=told.timeout_ms,
        )  # fmt: skip
        return cls(settings.model_copy(update={"terminal": real}))

    @property
    def sign_in(self) -> TerminalSettings:
        """What `producers.mt5.sign_in` takes."""
        return self.settings.terminal

    def __str__(self) -> str:
        told = self.settings.terminal
        return f"rpyc {told.host}:{told.port}" if told.kind == "rpyc" else "the terminal of this machine"

    def dial(self) -> Mt5Quotes:
        """Its quotes; nothing is asked of it yet. Raises MissingPart, TerminalError."""
        told = self.settings.terminal
        try:
            return QuotesOnly(connect(self.settings))
        except TerminalError as error:
            raise TerminalError(
                f"no real terminal is reached: no rpyc server answers at {told.host}:{told.port}; start it beside the "
                "terminal, or correct --host and --port (paper.host and paper.port)",
                error.code,
                error.text,
            ) from error
        except MissingPart as error:
            if told.kind == "rpyc":
                raise
            raise MissingPart(
                "no real terminal is reached: the package MetaTrader5 isn't here, it exists for Windows only (pip "
                "install MetaTrader5 there); from another system reach it by --terminal rpyc"
            ) from error


def _only_quotes(mt5: Mt5) -> Callable[..., Any]:
    def ask(name: str, /, *args: Any, **kwargs: Any) -> Any:
        if name not in CALLS:
            raise NotAQuote(f"{name} isn't asked of a real terminal when trading on paper")
        return getattr(mt5, name)(*args, **kwargs)

    return ask

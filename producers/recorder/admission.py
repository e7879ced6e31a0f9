"""Which symbols are recorded: what the terminal has of those that are wanted, each with its spec on `reference`, and
its hours, if they are told.

One that can't be recorded costs the others nothing: it is told once and looked at again, since a specification may
still be loading, a symbol may be added, a damaged chain may be repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from infra import anchors
from infra.chain_follower import ChainStopped, read_tail, standing_at
from infra.clock import Clock
from infra.errors import Refused, TickledgerError
from infra.reference_log import append_reference
from infra.tick_writer import TickClients, TickWriter
from producers.listing_spec import spec_of
from producers.mt5 import IPC_FAILURES, Mt5, SymbolInfo, failure
from producers.recorder.reference import LiveReference
from producers.recorder.sessions import Hours, table_of
from producers.recorder.specs import Unusable, spec_of_symbol
from producers.recorder.tail import Tail, refuse_imported, tail_of
from schemas.configuration import SessionTable
from schemas.events import Anchor, ListingSpec, ReferenceRecord
from schemas.identity import InvalidName, Listing, check_symbol
from schemas.integrity import KeyRing
from schemas.ticks import TickSource

_OPENED_AT_ONCE: Final = 8

Refuse = Callable[[str, TickledgerError], None]
"""Told of each symbol that isn't recorded, and why."""


class Admitted(NamedTuple):
    """A listing whose chain is open."""

    symbol: str
    writer: TickWriter
    tail: Tail


class Admission:
    """Looks symbols up, writes their specs and hours, and opens their chains."""

    def __init__(
        self,
        mt5: Mt5,
        bootstrap: str,
        keys: KeyRing,
        clock: Clock,
        clients: TickClients,
        reference: LiveReference,
        *,
        feed: str,
        recorded: bool,
        server_clock: str,
        hours: Hours,
        refuse: Refuse,
    ) -> None:
        """`recorded`: the feed was recorded before, so that nobody can have imported into it."""
        self._mt5, self._bootstrap, self._keys, self._clock = mt5, bootstrap, keys, clock
        self._clients, self._reference = clients, reference
        self._feed, self._recorded = feed, recorded
        self._server_clock, self._hours, self._refuse = server_clock, hours, refuse

    def watched(self) -> list[str]:
        """The symbols in the market watch. Raises TerminalError."""
        symbols = self._mt5.symbols_get()
        if symbols is None:
            raise failure(self._mt5, "the terminal doesn't tell its symbols")
        return [symbol.name for symbol in symbols if symbol.select]

    def specified(self, symbols: Iterable[str]) -> list[str]:
        """Those that the terminal has and that can be reckoned with, with their specs and hours on `reference`."""
        found = {symbol: info for symbol in symbols if (info := self._looked_up(symbol)) is not None}
        if any(self._differs(symbol, info) for symbol, info in found.items()):
            append_reference(self._bootstrap, self._keys, self._clock, lambda records: self._missing(records, found))
            self._reference.read_to_end()
        return list(found)

    def open(self, symbols: Iterable[str]) -> list[Admitted]:
        """The chains of symbols that were specified. Raises Fenced, Unreachable, DeliveryFailed."""
        symbols = list(symbols)
        found = anchors.read_anchors(self._bootstrap, self._keys)[0] if symbols else {}
        known = [found.get(anchors.chain_name("ticks", self._listing(symbol)), [None])[-1] for symbol in symbols]
        with ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
            return [admitted for admitted in pool.map(self._opened, symbols, known) if admitted is not None]

    def _looked_up(self, symbol: str) -> SymbolInfo | None:
        try:
            info = self._info(symbol)
            spec_of_symbol(self._listing(symbol), info, None, self._server_clock)
        except InvalidName as error:
            self._refuse(symbol, Unusable(f"{self._listing(symbol)} isn't recorded: {error}"))
            return None
        except Unusable as error:
            self._refuse(symbol, error)
            return None
        return info

    def _info(self, symbol: str) -> SymbolInfo:
        check_symbol(symbol)
        info = self._mt5.symbol_info(symbol) if self._mt5.symbol_select(symbol, True) else None
        if info is None:
            problem = failure(
                self._mt5, f"{self._listing(symbol)} isn't recorded: the terminal can't select {symbol!r}"
            )
            if problem.code <= IPC_FAILURES:
                raise problem
            raise Unusable(
                f"{problem}. Write it in recorder.symbols as the broker spells it in the market watch, and see whether "
                "the account may see it"
            )
        return info

    def _differs(self, symbol: str, info: SymbolInfo) -> bool:
        listing, known = self._listing(symbol), self._reference
        return bool(self._differing(symbol, info, known.specs.get(listing), known.sessions.get(listing)))

    def _missing(self, records: list[ReferenceRecord], found: dict[str, SymbolInfo]) -> list[ReferenceRecord]:
        missing: list[ReferenceRecord] = []
        for symbol, info in found.items():
            listing = self._listing(symbol)
            missing += self._differing(symbol, info, spec_of(listing, records), table_of(listing, records))
        return missing

    def _differing(
        self, symbol: str, info: SymbolInfo, spec: ListingSpec | None, table: SessionTable | None
    ) -> list[ReferenceRecord]:
        """The records that a symbol is to have and hasn't; `spec` and `table`: those that hold."""
        listing = self._listing(symbol)
        wanted_spec = spec_of_symbol(listing, info, spec, self._server_clock)
        wanted_table = self._hours.table(symbol, listing, table)
        found: list[ReferenceRecord] = [] if wanted_spec == spec else [wanted_spec]
        if wanted_table is not None and wanted_table != table:
            found.append(wanted_table)
        return found

    def _opened(self, symbol: str, anchor: Anchor | None) -> Admitted | None:
        listing = self._listing(symbol)
        try:
            start = standing_at(self._bootstrap, self._keys, listing, anchor)
            if not self._recorded:
                for block in read_tail(self._bootstrap, self._keys, listing, start, 1):
                    refuse_imported(block)
            writer = TickWriter(
                self._bootstrap, self._keys, self._clock, listing, TickSource.LIVE, start=start,
                on_block=refuse_imported, clients=self._clients,
            )  # fmt: skip
            writer.open()
            return Admitted(symbol, writer, tail_of(self._bootstrap, self._keys, listing, writer.standing()))
        except (Refused, ChainStopped) as error:
            self._refuse(symbol, error)
            return None

    def _listing(self, symbol: str) -> str:
        return str(Listing(self._feed, symbol))

"""Whatever account and entry: what is decided passes, more isn't allowed, and nothing raises."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.money import exact
from agents.risk import CHECK_NAMES, AccountView, Candidate, Verdict, decided_lots, limits_from_toml, run_checks
from schemas.configuration import RiskLimits
from schemas.events import Side
from tests.unit.agents.risk.accounts import ACCOUNT, ENTRY, EURUSD, spec

money = st.floats(0, 1e7).map(lambda value: round(value, 2))
entries = st.builds(
    lambda side, cents, margin, value: ENTRY._replace(
        side=side, lots=float(exact(0.01) * cents), margin_per_lot=margin, notional_per_lot=value, base_per_lot=value
    ),
    st.sampled_from([Side.LONG, Side.SHORT]),
    st.integers(0, 10_000),
    st.floats(1, 1e5),
    st.floats(1, 1e6),
)
accounts = st.builds(
    lambda equity, margin, lots, gross, net: ACCOUNT._replace(
        equity=equity, margin=margin, symbol_lots=lots, gross_notional=gross, exposures={"EUR": net, "USD": -net}
    ),
    money,
    money,
    st.integers(0, 1000).map(lambda cents: float(exact(0.01) * cents)),
    money,
    st.floats(-1e7, 1e7).map(lambda value: round(value, 2)),
)
some = st.one_of(st.none(), st.floats(0.01, 100).map(lambda value: round(value, 2)))


@st.composite
def size_limits(draw: st.DrawFn) -> RiskLimits:
    names = ("max_lots", "max_symbol_lots", "max_currency_exposure", "max_gross_notional", "min_margin_level")
    told: dict[str, Any] = {name: value for name in names if (value := draw(some)) is not None}
    return limits_from_toml(told, "lab")


@given(entries, accounts, size_limits(), st.sampled_from([0.01, 0.1, 0.5]))
def test_what_is_decided_passes_and_a_step_more_does_not(
    entry: Candidate, account: AccountView, limits: RiskLimits, step: float
) -> None:
    listing = spec(volume_step=step, volume_min=step)
    checks = run_checks(entry, account, limits, listing)
    lots = decided_lots(entry.lots, checks, listing)
    assert 0 <= lots <= entry.lots
    assert exact(lots) % exact(step) == 0
    if lots > 0:
        again = run_checks(entry._replace(lots=lots), account, limits, listing)
        assert {check.verdict for check in again} <= {Verdict.PASS, Verdict.NONE}
    elif not any(check.verdict is Verdict.DENY for check in checks):
        assert entry.lots == 0
    more = float(exact(lots) + exact(step))
    if lots > 0 and more <= entry.lots:
        above = run_checks(entry._replace(lots=more), account, limits, listing)
        assert decided_lots(more, above, listing) < more


anything = st.floats(allow_nan=True, allow_infinity=True)
any_entry = st.builds(
    Candidate,
    side=st.sampled_from([Side.LONG, Side.SHORT]),
    lots=anything,
    price=anything,
    taken_us=st.integers(0, 2**62),
    bid=anything,
    ask=anything,
    quote_ms=st.integers(0, 2**50),
    suspect=st.booleans(),
    signal_price=anything,
    margin_per_lot=anything,
    notional_per_lot=anything,
    base_per_lot=anything,
    stop_distance=anything,
    target_distance=anything,
    pending=st.booleans(),
)
any_account = st.builds(
    AccountView,
    balance=anything,
    equity=anything,
    margin=anything,
    symbol_lots=anything,
    gross_notional=anything,
    exposures=st.fixed_dictionaries({"EUR": anything}),
    day_basis=anything,
    peak_equity=anything,
)


@given(any_entry, any_account, size_limits())
def test_no_values_raise_and_what_is_not_known_opens_nothing(
    entry: Candidate, account: AccountView, limits: RiskLimits
) -> None:
    checks = run_checks(entry, account, limits, EURUSD)
    assert tuple(check.name for check in checks) == CHECK_NAMES
    lots = decided_lots(entry.lots, checks, EURUSD)
    assert math.isfinite(lots)
    if math.isnan(account.equity) or math.isnan(account.margin) or math.isnan(entry.margin_per_lot):
        assert lots == 0

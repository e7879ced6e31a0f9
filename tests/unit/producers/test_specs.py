"""What a backtest assumes of a broker: presets, a file of one's own, `--set`, and symbols as brokers spell them."""

from __future__ import annotations

import math
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.risk import CHECK_NAMES, limits_from_toml
from infra.errors import BadFile, SettingsError
from producers.specs import account_config, for_digits, listing_spec, load_spec, preset_names, read_limits
from producers.specs.keys import KEYS
from producers.specs.symbols import instrument_of
from schemas.configuration import MarginMode, PositionMode, SwapMode
from schemas.registry import decode, encode

PRESETS = ("generic", "icmarkets-raw", "pepperstone-razor", "vantage-raw", "vantage-standard")


def own(folder: Path, text: str) -> str:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_presets() -> None:
    assert preset_names() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("symbol", ["EURUSD", "USDJPY", "GBPCHF", "XAUUSD", "XAGUSD", "US30", "BTCUSD"])
def test_every_preset_says_everything_of_every_kind_of_symbol(name: str, symbol: str) -> None:
    spec = load_spec(name, symbol, [])
    assert spec.name == name
    assert all(re.search(r"\d{4}", source) for source in spec.sources)
    listing = spec.listing
    assert listing["contract_size"] > 0
    assert 0 < listing["volume_step"] <= listing["volume_min"] <= listing["volume_max"]
    assert isinstance(spec.spread_points, tuple)
    assert len(spec.spread_points) == 24
    assert min(spec.spread_points) > 0
    assert listing["swap_mode"] is SwapMode.PERCENT
    assert listing["margin_mode"] is not MarginMode.UNKNOWN
    assert listing["currency_profit"]
    assert spec.account["currency"] == "USD"
    assert spec.account["balance"] == Decimal("10000.0")


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "generic"])
def test_what_is_assumed_is_said_beside_what_is_the_brokers(name: str) -> None:
    spec = load_spec(name, "EURUSD", [])
    assert spec.assumptions[0].startswith(f"Costs by the spec {name}: ")
    assert "assumptions" in spec.assumptions[1]
    assert any("https://" in source for source in spec.sources)


def test_without_a_spec_the_first_sentence_says_what_was_assumed() -> None:
    spec = load_spec(None, "EURUSD", [])
    assert spec.name == "generic"
    assert spec.assumptions[0] == (
        "No spec was given: a retail account with marked-up spreads and no commission is assumed (generic); name your "
        "broker's with --spec."
    )


def test_a_currency_pair() -> None:
    listing = load_spec("vantage-raw", "EURUSD+", []).listing
    assert (listing["digits"], listing["contract_size"]) == (5, 100_000.0)
    assert (listing["currency_base"], listing["currency_profit"]) == ("EUR", "USD")
    assert (listing["commission_per_lot_side"], listing["commission_currency"]) == (3.0, "USD")
    assert listing["margin_mode"] is MarginMode.FOREX


def test_a_yen_pair_has_three_digits() -> None:
    listing = load_spec("icmarkets-raw", "USDJPY", []).listing
    assert (listing["digits"], listing["currency_profit"]) == (3, "JPY")
    assert (listing["swap_long"], listing["swap_short"]) == (2.5, -4.5)


def test_gold_is_a_hundred_ounces() -> None:
    listing = load_spec("pepperstone-razor", "XAUUSD", []).listing
    assert (listing["digits"], listing["contract_size"], listing["currency_base"]) == (2, 100.0, "XAU")
    assert (listing["margin_mode"], listing["margin_rate"]) == (MarginMode.CFD, 0.05)
    assert listing["commission_per_lot_side"] == 0.0


def test_an_index_is_priced_in_its_own_currency() -> None:
    german, american = (load_spec("icmarkets-raw", name, []).listing for name in ("GER40", "US500.cash"))
    assert (german["currency_base"], german["currency_profit"]) == ("EUR", "EUR")
    assert american["currency_profit"] == "USD"
    assert (american["margin_mode"], american["margin_rate"], american["swap_triple_day"]) == (MarginMode.CFD, 0.005, 5)
    assert (american["swap_long"], american["swap_short"]) == (-6.5, 1.5)


def test_a_coin() -> None:
    listing = load_spec("generic", "BTCUSD", []).listing
    assert (listing["contract_size"], listing["margin_rate"], listing["swap_long"]) == (1.0, 0.05, -20.0)


def test_the_rollover_hour_is_much_wider() -> None:
    spread = load_spec("vantage-raw", "EURUSD", []).spread_points
    assert isinstance(spread, tuple)
    assert (spread[12], spread[23], spread[0]) == (2.0, 18.0, 6.0)


def test_a_symbol_that_no_spec_knows_is_taken_as_priced_in_the_accounts_currency() -> None:
    spec = load_spec(None, "ACME", [])
    assert spec.kind == "other"
    assert (spec.listing["digits"], spec.listing["currency_profit"], spec.spread_points) == (0, "", None)
    assert any("ACME is no symbol that the spec knows" in sentence for sentence in spec.assumptions)
    assert any("--set spread_points" in sentence for sentence in spec.assumptions)


@pytest.mark.parametrize(
    ("symbol", "name", "kind"),
    [
        ("EURUSD", "EURUSD", "forex"),
        ("EURUSD+", "EURUSD", "forex"),
        ("EURUSD.raw", "EURUSD", "forex"),
        ("EURUSD-ECN", "EURUSD", "forex"),
        ("EURUSDm", "EURUSD", "forex"),
        ("EURUSD_i", "EURUSD", "forex"),
        ("mEURUSD.r", "EURUSD", "forex"),
        ("eurusd", "EURUSD", "forex"),
        ("EUR/USD", "EURUSD", "forex"),
        ("EUR_USD", "EURUSD", "forex"),
        ("#EURUSD", "EURUSD", "forex"),
        ("GBPJPY.pro", "GBPJPY", "forex_jpy"),
        ("XAUUSD.s", "XAUUSD", "gold"),
        ("GOLD", "XAUUSD", "gold"),
        ("GOLDm", "XAUUSD", "gold"),
        ("XAGEUR", "XAGEUR", "silver"),
        ("US30.r", "US30", "index"),
        ("DJ30", "US30", "index"),
        ("USTEC", "NAS100", "index"),
        ("US2000", "US2000", "index"),
        ("GER40.cash", "DE40", "index"),
        ("JPN225ft", "JP225", "index"),
        ("BTCUSDm", "BTCUSD", "crypto"),
        ("AAPL", "AAPL", "other"),
        ("EURUSDAX", "EURUSDAX", "other"),
        ("USDUSD", "USDUSD", "other"),
        ("EUR", "EUR", "other"),
        ("", "", "other"),
    ],
)
def test_a_brokers_symbol_is_found_behind_its_spelling(symbol: str, name: str, kind: str) -> None:
    assert instrument_of(symbol)[:2] == (name, kind)


@given(st.text(max_size=20))
def test_any_symbol_has_a_spec(symbol: str) -> None:
    assert load_spec(None, symbol, []).listing["volume_min"] > 0


def test_an_ending_of_cent_accounts_is_warned_of() -> None:
    assert any("cent and micro" in sentence for sentence in load_spec(None, "EURUSDc", []).assumptions)
    assert not any("cent and micro" in sentence for sentence in load_spec(None, "EURUSDm", []).assumptions)


def test_set_replaces_a_value() -> None:
    told = [
        "digits=5", "contract=1000", "volume_min=0.1", "volume_max=50", "volume_step=0.1", "stops_level=10",
        "commission_per_lot_side=2.5", "slippage_points=1.5", "latency_ms=20", "leverage=30", "balance=2500.5",
        "account_currency=eur", "rate_USD=0.9", "margin_rate=2", "margin_mode=cfd", "spread_points=12",
        "swap_long=-7.2", "swap_short=3", "position_mode=netting", "server_clock=+3", "seed=7",
    ]  # fmt: skip
    spec = load_spec("vantage-raw", "EURUSD", told)
    listing = spec.listing
    assert (listing["contract_size"], listing["volume_min"], listing["volume_max"]) == (1000.0, 0.1, 50.0)
    assert (listing["stops_level"], listing["margin_rate"], listing["margin_mode"]) == (10, 2.0, MarginMode.CFD)
    assert (listing["commission_per_lot_side"], listing["commission_currency"]) == (2.5, "")
    assert (listing["swap_mode"], listing["swap_long"], listing["swap_short"]) == (SwapMode.POINTS, -7.2, 3.0)
    assert spec.spread_points == 12.0
    assert (spec.model.slippage_points, spec.model.latency_ms, spec.model.seed) == (1.5, 20.0, 7)
    assert spec.server_clock == listing["server_clock"] == "+3"
    account = account_config(spec, "lab", ["sim/EURUSD", "sim/EURGBP"])
    assert (account.currency, account.leverage, account.balance) == ("EUR", 30.0, Decimal("2500.5"))
    assert (account.rate_currencies, account.rates) == (("USD",), (0.9,))
    assert account.position_mode is PositionMode.NETTING
    assert (account.feed, account.conversion_listings) == ("sim", ("sim/EURUSD", "sim/EURGBP"))
    assert spec.assumptions[-1] == f"Set by hand: {', '.join(told)}."
    assert "1 USD counts as 0.9 EUR throughout." in spec.assumptions


def test_a_larger_step_makes_the_least_order_larger() -> None:
    listing = load_spec(None, "EURUSD", ["volume_step=0.1"]).listing
    assert (listing["volume_min"], listing["volume_step"]) == (0.1, 0.1)


def test_the_last_of_two_sets_counts() -> None:
    assert load_spec(None, "EURUSD", ["spread_points=1", "spread_points=2"]).spread_points == 2.0


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("volume_step=0", "volume_step = 0: it must be a number above zero (0.01 is usual)"),
        ("spread_points=-1", "spread_points = -1: it must be a number zero or above"),
        ("spread_points=nan", "spread_points = nan: it must be a number zero or above"),
        ("contract=inf", "contract_size = inf: it must be a number above zero"),
        ("digits=5.0", "digits = 5.0: it must be a whole number from 0 to 8"),
        ("digits=9", "digits = 9: it must be a whole number from 0 to 8"),
        ("spread_point=12", "unknown key 'spread_point': did you mean spread_points?"),
        ("lots=1", "unknown key 'lots': there are digits, contract_size"),
        ("rate_eur=1.1", "unknown key 'rate_eur': did you mean rate_EUR?"),
        ("rate_EUR=0", "rate_EUR = 0: it must be a number above zero"),
        ("rate_USD=2", "rate_USD = 2.0: the account is in USD itself"),
        ("spread_points=1,5", "spread_points = '1,5': it must be a number: write it with a point, not a comma"),
        ("balance=ten", "balance = 'ten': it must be a number"),
        ("account_currency=euro", "account_currency = 'euro': it must be a currency's three letters"),
        ("margin_mode=FUTURES", "margin_mode = 'FUTURES': it must be one of FOREX, CFD, CFD_LEVERAGE"),
        ("leverage=0", "leverage = 0: it must be a number from 1 to 100000"),
        ("swap_long=-3", "swap_long = -3.0: tell swap_short as well; 0 for none"),
        ("swap_mode=POINTS", "swap_mode = 'POINTS': tell swap_long and swap_short as well"),
        ("volume_min=200", "volume_min = 200.0 is above volume_max = 100.0: correct one of them"),
        ("volume_min=0.015", "volume_min = 0.015 is no multiple of volume_step = 0.01"),
        ("stop_out_level=200", "stop_out_level = 200.0 is above margin_call_level = 100.0"),
        ("server_clock=nyse", "server_clock: there is no server clock 'nyse'"),
        ("spread_hours=1", "spread_hours is a table: write it into a TOML file"),
        ("reject_share=1.5", "reject_share = 1.5: it must be a number from 0 to 1"),
        ("digits", "'digits': it takes key=value"),
        ("digits=", "'digits=': it takes key=value"),
    ],
)
def test_a_set_that_can_not_be_names_key_value_and_way_out(override: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_spec(None, "EURUSD", [override])
    assert str(refused.value).startswith(f"--set {reason}")


def test_a_name_that_is_no_spec_names_what_is_near() -> None:
    with pytest.raises(SettingsError, match=r"no spec 'vantage_row': did you mean vantage-raw\? \(there are generic, "):
        load_spec("vantage_row", "EURUSD", [])
    with pytest.raises(BadFile, match=r"none.toml: can't be read: No such file"):
        load_spec("none.toml", "EURUSD", [])


def test_a_file_of_ones_own_stands_on_a_preset(tmp_path: Path) -> None:
    path = own(
        tmp_path,
        """
        base = "icmarkets-raw"
        leverage = 200
        commission_by_currency = { USD = 2.0, EUR = 1.8 }
        rate_EUR = 1.1
        [kinds.gold]
        spread_points = 20
        [symbols.EURUSD]
        spread_points = 4
        swap_long = -6.1
        swap_short = 2
        [symbols."EURUSD+"]
        spread_points = 3
        """,
    )
    plain, raw, gold = (load_spec(path, symbol, []) for symbol in ("EURUSD", "EURUSD+", "XAUUSD"))
    assert (plain.spread_points, raw.spread_points, gold.spread_points) == (4.0, 3.0, 20.0)
    assert (raw.listing["swap_mode"], raw.listing["swap_long"]) == (SwapMode.POINTS, -6.1)
    assert (plain.listing["commission_per_lot_side"], plain.account["leverage"]) == (2.0, 200.0)
    assert plain.account["rates"] == {"EUR": 1.1}
    assert plain.assumptions[0] == f"Costs by the spec {path} on top of icmarkets-raw."
    assert "icmarkets.zendesk.com" in " ".join(plain.sources)


def test_a_file_of_an_import_is_a_spec_as_well(tmp_path: Path) -> None:
    path = own(tmp_path, "digits = 4\ncommission_per_lot_side = 1\nvolume_min = 0.1")
    spec = load_spec(path, "EURUSD", [])
    assert (spec.listing["digits"], spec.listing["volume_min"]) == (4, 0.1)
    assert spec.assumptions[0] == f"Costs by the spec {path} on top of generic."


def test_a_spread_by_hour_of_ones_own(tmp_path: Path) -> None:
    hours = [*range(23), 90]
    path = own(
        tmp_path,
        f"[symbols.EURUSD]\nspread_points = {hours}\n[symbols.GBPUSD]\nspread_points = 5\nspread_hours = {hours}",
    )
    assert load_spec(path, "EURUSD", []).spread_points == tuple(map(float, hours))
    assert load_spec(path, "GBPUSD", []).spread_points == tuple(5.0 * hour for hour in hours)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("volume_step = 0", "volume_step = 0: it must be a number above zero (0.01 is usual)"),
        (
            "[symbols.EURUSD]\nvolume_step = 0",
            "volume_step = 0: it must be a number above zero (0.01 is usual) in [symbols.EURUSD]",
        ),
        ("spread_pionts = 3", "unknown key 'spread_pionts': did you mean spread_points?"),
        ("leverage = nan", "leverage = nan: it must be a number from 1 to 100000"),
        ('leverage = "100"', "leverage = '100': it must be a number"),
        ("spread_points = [1, 2]", "spread_points: it must be a list of 24 numbers"),
        ("[symbols.EURUSD]\nleverage = 3", "leverage in [symbols.EURUSD]: it holds for the whole account"),
        ("[symbols.EURUSD]\nrate_EUR = 3", "rate_EUR: it holds for the whole account"),
        ("[symbols]\nEURUSD = 3", "symbols.EURUSD = 3: it must be a table"),
        ("[kinds.fx]\ndigits = 3", "unknown kind of instrument [kinds.fx]: there are forex"),
        ("[account]\nleverage = 3", "unknown table 'account': there are [kinds], [symbols], [interest]"),
        ('base = "vantage"', "base = 'vantage': did you mean vantage-"),
        ("sources = 3", "sources: it must be a list of texts"),
        ("note = 3", "note = 3: it must be a text"),
        ("volume_min = 3\nvolume_max = 2", "volume_min = 3.0 is above volume_max = 2.0"),
        ("swap_long = 3", "swap_long = 3.0: tell swap_short as well"),
        ("commission_by_currency = 3", "commission_by_currency = 3: it must be a table such as"),
        ('[interest]\nUSD = "4"', "USD = '4' in [interest]: it must be percent a year"),
        ('server_clock = "moon"', "server_clock: there is no server clock 'moon'"),
        ("digits", "is not TOML"),
    ],
)
def test_a_file_that_can_not_be_names_itself_key_value_and_way_out(tmp_path: Path, text: str, reason: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(BadFile) as refused:
        load_spec(path, "EURUSD", [])
    assert str(refused.value).startswith(f"{path}: {reason}")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_bytes(b"\xff")
    with pytest.raises(BadFile, match="is not TOML"):
        load_spec(str(tmp_path / "my.toml"), "EURUSD", [])


def test_commission_is_in_the_accounts_currency_where_the_broker_has_one_for_it() -> None:
    euro = load_spec("icmarkets-raw", "EURUSD", ["account_currency=EUR"]).listing
    assert (euro["commission_per_lot_side"], euro["commission_currency"]) == (2.75, "EUR")
    zloty = load_spec("icmarkets-raw", "EURUSD", ["account_currency=PLN"]).listing
    assert (zloty["commission_per_lot_side"], zloty["commission_currency"]) == (3.5, "USD")


def test_a_yen_account_has_no_cents() -> None:
    assert load_spec(None, "EURUSD", ["account_currency=JPY"]).account["currency_digits"] == 0


def test_no_swap_is_guessed_for_a_currency_of_unknown_interest() -> None:
    spec = load_spec(None, "USDMXN", [])
    assert (spec.listing["swap_mode"], spec.listing["swap_long"]) == (SwapMode.NONE, 0.0)
    assert any("No swap is charged: it isn't known" in sentence for sentence in spec.assumptions)
    assert "No swap is charged." in load_spec(None, "EURUSD", ["swap_mode=NONE"]).assumptions


def test_prices_with_more_digits_make_the_presets_points_smaller() -> None:
    spec = for_digits(load_spec("generic", "XAUUSD", ["swap_mode=NONE"]), 3)
    assert spec.listing["digits"] == 3
    assert isinstance(spec.spread_points, tuple)
    assert spec.spread_points[12] == 360.0
    assert spec.assumptions[-1] == "The prices have 3 digits where the spec has 2: each of its points counts 10."
    for given_spec in (spec, load_spec("generic", "XAUUSD", [])):
        record = listing_spec(given_spec, "sim/XAUUSD", 3)
        assert (record.digits, record.digits_inferred) == (3, True)
    assert listing_spec(load_spec("generic", "XAUUSD", []), "sim/XAUUSD", 2).digits_inferred is False


def test_what_a_user_told_in_points_stays() -> None:
    told = ["spread_points=25", "slippage_points=2", "stops_level=7", "swap_long=-3", "swap_short=1"]
    spec = for_digits(load_spec("generic", "XAUUSD", told), 3)
    assert (spec.spread_points, spec.model.slippage_points, spec.listing["stops_level"]) == (25.0, 2.0, 7)
    assert spec.listing["swap_long"] == -3.0


def test_told_digits_stay_and_convert_the_presets_points() -> None:
    spec = load_spec("generic", "XAUUSD", ["digits=3"])
    assert isinstance(spec.spread_points, tuple)
    assert spec.spread_points[12] == 360.0
    kept = for_digits(spec, 4)
    assert kept.listing["digits"] == 3
    assert kept.assumptions[-1].startswith("The prices have 4 digits, more than the 3 told")
    assert listing_spec(spec, "sim/XAUUSD", 4).digits_inferred is False


def test_prices_with_fewer_digits_change_nothing() -> None:
    spec = load_spec("generic", "EURUSD", [])
    assert for_digits(spec, 4) is spec


def test_an_unknown_symbols_digits_are_those_of_its_prices() -> None:
    record = listing_spec(load_spec(None, "ACME", ["spread_points=3"]), "sim/ACME", 2)
    assert (record.digits, record.digits_inferred, record.contract_size) == (2, True, 1.0)
    assert for_digits(load_spec(None, "ACME", ["spread_points=3"]), 2).spread_points == 3.0
    assert listing_spec(load_spec(None, "ACME", []), "sim/ACME", 0).digits_inferred is True
    assert listing_spec(load_spec(None, "ACME", ["digits=0"]), "sim/ACME", 0).digits_inferred is False


@pytest.mark.parametrize("symbol", ["EURUSD", "XAUUSD", "GER40", "BTCUSD", "ACME"])
def test_the_records_can_be_written_and_read(symbol: str) -> None:
    spec = load_spec("icmarkets-raw", symbol, [])
    for record in (listing_spec(spec, f"sim/{symbol}", 2), account_config(spec, "lab", [f"sim/{symbol}"])):
        assert decode(encode(record)) == record


def test_a_file_of_limits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("max_lots = 5", encoding="utf-8")
    assert read_limits(path) == {"max_lots": 5}
    with pytest.raises(BadFile, match=r"none.toml: can't be read"):
        read_limits(tmp_path / "none.toml")
    path.write_text("max_lots", encoding="utf-8")
    with pytest.raises(BadFile, match="is not TOML"):
        read_limits(path)


DOCS = Path(__file__).parents[3] / "docs"


def toml_of(page: str) -> str:
    found = re.search(r"```toml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_template_in_the_docs_is_a_whole_file_with_every_key(tmp_path: Path) -> None:
    text = toml_of("specs.md")
    path = own(tmp_path, text)
    assert load_spec(path, "EURUSD", []).spread_points == tuple(
        float(math.floor(h + 0.5)) for h in tomllib.loads(text)["spread_hours"]
    )
    assert load_spec(path, "XAUUSD", []).spread_points != load_spec("vantage-raw", "XAUUSD", []).spread_points
    assert [key for key in KEYS if key not in text] == []


@pytest.mark.parametrize("name", PRESETS)
def test_the_docs_tell_each_presets_numbers(name: str) -> None:
    account = load_spec(name, "EURUSD", []).account
    row = next(
        line for line in (DOCS / "specs.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}`")
    )
    levels = f"{account['margin_call_level']:g} %, {account['stop_out_level']:g} %"
    assert f"| {levels} | 1:{account['leverage']:g} |" in row


def test_the_limits_in_the_docs_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(toml_of("risk.md"), encoding="utf-8")
    assert limits_from_toml(read_limits(path), "lab").max_daily_loss == 0.05


def test_the_docs_name_every_check_in_order() -> None:
    table = (DOCS / "risk.md").read_text(encoding="utf-8").partition("## Checks")[2].partition("*Cut*")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert tuple(name for cell in first for name in re.findall(r"`(\w+)`", cell)) == CHECK_NAMES

# %% [markdown]
# # A first strategy in polars
#
# A backtest from a notebook, its results as data frames, and a check of its entries by other code. Have
# `EURUSD_M1.csv.gz` of the tutorial in the working directory, or name a file of your own.

# %%
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl

DATA = "EURUSD_M1.csv.gz"
RUN = Path("runs/notebook")


def tickledger(*arguments: object) -> str:
    """Runs the command and gives what it prints."""
    command = [sys.executable, "-P", "-m", "api.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


# %% [markdown]
# ## A strategy and its run

# %%
Path("cross15.py").write_text(
    '''
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema


@strategy(version=1, bars="M15")
def cross15(b, fast=Param(20, 5, 100), slow=Param(50, 20, 400), k=Param(2.0, 0.5, 6.0)):
    """EMA cross; stop k ATR, target twice as far."""
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
    plan = Exit(stop=k * r, target=2 * k * r)
    yield Enter.long(cross_above(f, s), plan, valid_for="60s")
    yield Enter.short(cross_below(f, s), plan, valid_for="60s")
''',
    encoding="utf-8",
)
answer = json.loads(
    tickledger("backtest", "cross15.py", DATA, "--spec", "vantage-raw", "--risk", "0.5%", "--out", RUN, "--json")
)
print(answer["trades"], "trades, net profit", round(answer["net_profit"], 2), "refused", answer["refused"])

# %% [markdown]
# ## Trades
#
# `pnl` is net of everything; spread and slippage are in the prices, commission and swap are not.

# %%
trades = pl.read_csv(RUN / "trades.csv", try_parse_dates=True)
print(
    trades.group_by("side", "exit_reason")
    .agg(pl.len().alias("trades"), pl.sum("pnl").round(2), pl.mean("mae").round(2), pl.mean("mfe").round(2))
    .sort("side", "exit_reason")
)
costs = trades.select(pl.sum("commission", "swap", "spread_cost", "slippage_cost").round(2))
print(costs)

# %% [markdown]
# ## Equity and drawdown

# %%
equity = pl.read_parquet(RUN / "equity.parquet").with_columns(
    time=pl.from_epoch("time_ms", "ms"), below_peak=pl.col("equity") / pl.col("equity").cum_max() - 1
)
days = equity.group_by_dynamic("time", every="1d").agg(pl.last("equity").round(2), pl.min("below_peak").round(4))
print(days)

# %% [markdown]
# ## The same entries by other code
#
# Bars of fifteen minutes from the file itself, averages by polars. The file's times are the server's, three hours ahead
# of UTC in summer. A signal comes at a bar's close, so it is decided with the first tick after it.

# %%
QUARTER = timedelta(minutes=15)
minutes = pl.read_csv(DATA, separator="\t").select(
    time=(pl.col("<DATE>") + " " + pl.col("<TIME>")).str.to_datetime("%Y.%m.%d %H:%M:%S", time_unit="ms"),
    close="<CLOSE>",
)
bars = (
    minutes.group_by_dynamic("time", every="15m")
    .agg(pl.last("close"))
    .with_columns(
        end=pl.col("time") + QUARTER - timedelta(hours=3),
        f=pl.col("close").ewm_mean(span=20, adjust=False),
        s=pl.col("close").ewm_mean(span=50, adjust=False),
    )
    .with_row_index("bar")
)
above = pl.col("f") > pl.col("s")
below = pl.col("f") < pl.col("s")
crosses = (
    bars.with_columns(
        side=pl.when(above & (pl.col("f").shift(1) <= pl.col("s").shift(1)))
        .then(pl.lit("LONG"))
        .when(below & (pl.col("f").shift(1) >= pl.col("s").shift(1)))
        .then(pl.lit("SHORT"))
    )
    .filter(pl.col("side").is_not_null(), pl.col("bar") >= 151)  # the strategy's warm-up
    .select("end", "side")
)
decided = (
    pl.read_parquet(RUN / "events" / "risk.parquet")
    .filter(pl.col("record") == "RiskDecision")
    .select(decided=pl.from_epoch("taken_us", "us").cast(pl.Datetime("ms")), side="side")
)
both = decided.join_asof(crosses.with_columns(decided="end"), on="decided", by="side", check_sortedness=False)
print(both.with_columns(late=pl.col("decided") - pl.col("end")))

# %% [markdown]
# Every decision belongs to a cross at most a minute before it. A cross that was not decided on has expired: the next
# price came when `valid_for` was over, in a quiet hour that lacks minutes, say.

# %%
late = both.filter((pl.col("decided") - pl.col("end")) > timedelta(seconds=60))
expired = crosses.join(both.select("end", "side"), on=["end", "side"], how="anti")
print(expired)
print(f"{len(crosses)} crosses, {len(decided)} decided, {len(expired)} expired")
assert len(late) == 0
assert len(expired) == answer["refused"].get("expired", 0)

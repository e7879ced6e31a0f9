"""The API as a client meets it: answers page by page, health, the push, and who is let in."""

from __future__ import annotations

import asyncio
import json
import socket
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.server.__main__ import check_host, listen
from api.server.app import make_app
from api.server.live import Live
from api.server.market import Market
from infra.errors import PortTaken, SettingsError
from infra.settings import ApiSettings, load_settings
from infra.stack.home import Home
from projections.columns import COLUMNS
from schemas.events import Side, SignalKind
from schemas.registry import encode
from streams.alarms import failed_alert
from tests.conftest import TestStack
from tests.integration.projections.account_day import Day
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import Feed, Log, bar, signal, value_of
from tests.unit.streams.desk import account as desk

pytestmark = pytest.mark.stack

BASE = "http://127.0.0.1:8321"


@pytest.fixture(scope="module")
def filled(own_stack: TestStack, log: Log) -> Iterator[tuple[Day, str]]:
    day = Day(own_stack, log)
    feed = Feed(log, f"{day.name}/EURUSD")
    feed.open()
    feed.write(1_200)
    for number in range(3):
        log.send("bars", feed.listing, value_of(bar(feed.listing, number)))
    failed: dict[str, Any] = {"kind": SignalKind.FAILED, "side": Side.NONE, "message": "ValueError: no more"}
    for made in (signal(feed.listing, 0), said := signal(feed.listing, 1, **failed)):
        log.send("signals", feed.listing, value_of(made))
    for _ in range(2):
        log.send("alerts", "worker", encode(failed_alert(said)))
    with new_database(own_stack) as dsn:
        projecting(own_stack, dsn)()
        yield day, dsn


@pytest.fixture(scope="module")
def client(own_stack: TestStack, filled: tuple[Day, str]) -> Iterator[TestClient]:
    app = make_app(own_stack.settings, filled[1], Market(own_stack.settings))
    with TestClient(app, base_url=BASE) as opened:
        yield opened


def items(client: TestClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_it_is_alive_and_says_what_is_not_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}

    ready = client.get("/health/ready")

    assert (ready.status_code, ready.json()["ready"], ready.json()["database"]) == (503, False, "")
    assert ready.json()["services"]["kafka"]["state"] == "ready"
    assert ready.json()["services"]["worker"]["state"] == "stopped"


@pytest.mark.parametrize("what", COLUMNS)
def test_every_answer_has_the_columns_that_query_documents(
    client: TestClient, filled: tuple[Day, str], what: str
) -> None:
    symbol = {"symbol": f"{filled[0].name}/EURUSD"} if what == "ticks" else {}
    rows = items(client, f"/api/{what}", **symbol)

    assert all(list(row) == [column.name for column in COLUMNS[what]] for row in rows)


@pytest.mark.parametrize(("what", "asked"), [("ticks", {}), ("bars", {}), ("fills", {}), ("executions", {})])
def test_a_cursor_goes_on_where_the_page_ended_and_gives_each_row_once(
    client: TestClient, filled: tuple[Day, str], what: str, asked: dict[str, Any]
) -> None:
    if what in ("ticks", "bars"):
        asked = {"symbol": f"{filled[0].name}/EURUSD"}
    whole = items(client, f"/api/{what}", limit=5_000, **asked)
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(f"/api/{what}", params={**asked, **cursor, "limit": 2 if what != "ticks" else 500}).json()
        if not answer["items"]:
            break
        found += answer["items"]
        cursor = {"cursor": answer["next"]}

    assert found == whole
    assert len(whole) > 1
    assert client.get(f"/api/{what}", params={**asked, "cursor": answer["next"]}).json() == answer


def test_the_newest_rows_can_be_asked_for(client: TestClient, filled: tuple[Day, str]) -> None:
    rows = items(client, "/api/ticks", symbol=f"{filled[0].name}/EURUSD", newest=True, limit=3)

    assert [row["n"] for row in rows] == [1_197, 1_198, 1_199]


def test_a_fill_is_walked(client: TestClient, filled: tuple[Day, str]) -> None:
    fill = items(client, "/api/fills", account=filled[0].name)[0]

    walk = client.get(f"/api/audit/{fill['id']}").json()

    assert walk["fill"]["order_no"] == walk["order"]["order_no"]
    assert walk["decision"]["checks"]


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/api/ticks", 422, "give symbol"),
        ("/api/bars?timeframe=M7", 422, "take one of M1"),
        ("/api/bars?from=yesterday", 422, "from: "),
        ("/api/bars?cursor=rubbish", 422, "begin without one"),
        ("/api/bars?cursor=\u00e9", 422, "begin without one"),
        ("/api/ticks?symbol=XX&cursor=eJyrVspPU7JSMlTSUUrMzKlRqgUAJHkD9g", 422, "begin without one"),
        ("/api/bars?newest=true&cursor=eyJtcyI6IDEsICJza2lwIjogMX0", 422, "takes no cursor"),
        ("/api/equity?symbol=EURUSD", 422, "equity has no parameter symbol: it takes account, from, to, limit"),
        ("/api/bars?account=demo", 422, "bars has no parameter account: it takes symbol, timeframe, from, to"),
        ("/api/fills?timeframe=M1", 422, "fills has no parameter timeframe: it takes symbol, account, from, to"),
        ("/api/alerts?account=nosuch", 422, "alerts has no parameter account"),
        ("/api/ticks?colour=red", 422, "ticks has no parameter colour"),
        ("/api/fills?limit=0", 422, "limit: Input should be greater than or equal to 1"),
        ("/api/bars?newest=perhaps", 422, "newest: "),
        ("/api/bars?symbol=XX", 404, "no listing is called 'XX'"),
        ("/api/audit/desk@9/nobody/1", 404, "there is no fill"),
        ("/api/audit/one", 404, ""),
        ("/nothing", 404, "there is no page nothing"),
        ("/api/nothing", 404, "there is nothing at /api/nothing"),
    ],
)
def test_what_cannot_be_answered_is_said_in_words(client: TestClient, path: str, code: int, said: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, said in answer.json()["detail"]) == (code, True), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_account_that_the_log_has_not_is_an_error_that_names_those_there_are(
    client: TestClient, filled: tuple[Day, str]
) -> None:
    for what in ("fills", "equity"):
        answer = client.get(f"/api/{what}", params={"account": "nosuch"})

        assert (answer.status_code, filled[0].name in answer.json()["detail"]) == (404, True), answer.text
        assert answer.json()["detail"].startswith("no account is called 'nosuch': there are ")


def test_each_answer_offers_the_parameters_that_it_takes(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    offered = {what: {p["name"] for p in paths[f"/api/{what}"]["get"]["parameters"]} for what in COLUMNS}
    paged = {"from", "to", "limit", "cursor", "newest"}

    assert offered["bars"] == paged | {"symbol", "timeframe"}
    assert offered["alerts"] == offered["reference"] == paged | {"symbol"}
    assert offered["fills"] == paged | {"symbol", "account"}
    assert offered["equity"] == paged | {"account"}


def test_only_names_of_this_machine_are_served_and_changes_need_our_header(client: TestClient) -> None:
    stranger = client.get("/health/live", headers={"host": "evil.example:8321"})
    assert (stranger.status_code, stranger.headers["x-content-type-options"]) == (421, "nosniff")
    assert client.post("/api/market/pause").status_code == 403
    refused = client.post("/api/market/pause", headers={"X-Tickledger": "1"})
    assert (refused.status_code, "not simulated" in refused.json()["detail"]) == (409, True)
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_it_listens_nowhere_else_and_says_why() -> None:
    settings = load_settings()
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"host": "0.0.0.0"})})

    with pytest.raises(SettingsError, match=r"api.host = '0.0.0.0'.*127.0.0.1 only.*tunnel"):
        check_host(settings)


def test_its_usual_port_gives_way_to_another_program_and_one_that_is_told_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        usual = load_settings(tmp_path)
        usual = usual.model_copy(update={"api": ApiSettings.model_construct(_fields_set=set(), port=port)})
        with listen(usual, home) as first, listen(usual, home) as second:
            assert len({port, first.getsockname()[1], second.getsockname()[1]}) == 3

        monkeypatch.setenv("TICKLEDGER_API__PORT", str(port))
        with pytest.raises(PortTaken, match=rf"port {port} on 127.0.0.1 \(api.port\) is taken"):
            listen(load_settings(tmp_path), home)
    with listen(load_settings(tmp_path), home) as held:
        assert held.getsockname()[1] == port


def test_its_description_has_no_warnings_and_names_each_operation_once(client: TestClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        described = client.get("/openapi.json").json()

    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {f"/api/{what}" for what in COLUMNS} <= set(described["paths"])


def test_a_page_gets_every_section_at_once_and_then_what_changes(client: TestClient, filled: tuple[Day, str]) -> None:
    fills = items(client, "/api/fills", account=filled[0].name)
    said = {"number": 0}

    def quick() -> dict[str, Any]:
        said["number"] += 1
        return {"market": {"simulated": False, "number": said["number"]}}

    async def look() -> list[tuple[str, str]]:
        live = Live(filled[1], quick, lambda: {"services": {}})
        found: list[tuple[str, str]] = []
        try:
            async with live.subscribed(f"{filled[0].name}/EURUSD") as subscriber:
                async for event in subscriber.events():
                    name, _, data = event.partition("\n")
                    found.append((name.removeprefix("event: "), data.removeprefix("data: ").strip()))
                    if sum(section == "market" for section, _ in found) >= 3:
                        return found
        finally:
            live.close()
        return found

    found = asyncio.run(asyncio.wait_for(look(), 60))

    names = [name for name, _ in found]
    assert {"topics", "feeds", "alerts", "accounts", "listing", "database", "market", "services"} <= set(names)
    assert names.count("topics") == 1
    listing = next(data for name, data in found if name == "listing")
    assert '"bars":[{' in listing
    accounts = json.loads(next(data for name, data in found if name == "accounts"))
    account = next(one for one in accounts if one["account"] == filled[0].name)
    assert account["orders"][-1]["listing"] == desk.LISTING
    # It holds nothing any more: its equity is what its deals have left of the opening balance.
    left = sum(Decimal(row["profit"]) + Decimal(row["commission"]) + Decimal(row["swap"]) for row in fills)
    assert account["positions"] == []
    assert account["equity"][-1]["equity"] == float(desk.CONFIG.balance + left)
    # And that is what the table of PnL adds up to.
    assert Decimal(account["total"]["net"]) == left == sum(Decimal(row["net"]) for row in account["pnl"])
    assert Decimal(account["total"]["net"]) == Decimal(str(account["equity"][-1]["balance"])) - desk.CONFIG.balance
    alerts = json.loads(next(data for name, data in found if name == "alerts"))
    (strategy,) = [alert for alert in alerts if alert["code"] == "strategy_failed"]
    assert strategy["subject"] == f"berserker@2/{filled[0].name}/EURUSD"
    assert "/EURUSD: ValueError: no more; it says nothing more on this listing" in strategy["message"]
    assert "tickledger strategies remove" in strategy["message"]


def test_a_section_that_cannot_be_told_holds_up_no_other() -> None:
    asked = {"number": 0}

    def quick() -> dict[str, Any]:
        asked["number"] += 1
        if asked["number"] == 1:
            raise RuntimeError("no market yet")
        return {"market": {"simulated": True}}

    async def look() -> list[str]:
        live = Live("postgresql://nobody@127.0.0.1:1/none", quick, lambda: {"services": {}})
        names: list[str] = []
        try:
            async with live.subscribed(None) as subscriber:
                async for event in subscriber.events():
                    names.append(event.partition("\n")[0].removeprefix("event: "))
                    if "market" in names:
                        break
        finally:
            live.close()
        return names

    assert {"database", "services", "market"} <= set(asyncio.run(asyncio.wait_for(look(), 60)))


def test_a_database_that_is_gone_is_said_on_the_page() -> None:
    async def look() -> str:
        live = Live("postgresql://nobody@127.0.0.1:1/none", dict, dict)
        try:
            async with live.subscribed(None) as subscriber:
                async for event in subscriber.events():
                    if event.startswith("event: database"):
                        return event
        finally:
            live.close()
        return ""

    assert "127.0.0.1:1" in asyncio.run(asyncio.wait_for(look(), 60))


def test_real_answers_and_refusals_are_what_the_description_says(client: TestClient, filled: tuple[Day, str]) -> None:
    described = client.get("/openapi.json").json()
    fill = items(client, "/api/fills", account=filled[0].name)[0]["id"]
    said = items(client, "/api/signals", symbol=f"{filled[0].name}/EURUSD")[0]["id"]
    symbol = {"symbol": f"{filled[0].name}/EURUSD", "limit": 5}
    for path, asked, operation in [
        *((f"/api/{what}", symbol if what == "ticks" else {}, f"/api/{what}") for what in COLUMNS),
        *((f"/api/audit/{each}", {}, "/api/audit/{record_id}") for each in (fill, said)),
        ("/api/audit/desk@9/nobody/1", {}, "/api/audit/{record_id}"),
        ("/api/bars", {"symbol": "XX"}, "/api/bars"),
        ("/api/fills", {"limit": 0}, "/api/fills"),
        ("/api/market", {}, "/api/market"),
    ]:
        answer = client.get(path, params=asked)
        responses = described["paths"][operation]["get"]["responses"]
        content = responses[str(answer.status_code)]["content"][answer.headers["content-type"]]
        assert breaches(answer.json(), content["schema"], described) == [], path
    for headers, code in (({}, 403), ({"X-Tickledger": "1"}, 409), ({"host": "evil.example"}, 421)):
        answer = client.post("/api/market/pause", headers=headers)
        responses = described["paths"]["/api/market/{action}"]["post"]["responses"]
        schema = responses[str(code)]["content"]["application/problem+json"]["schema"]
        assert (answer.status_code, breaches(answer.json(), schema, described)) == (code, [])
    assert "HTTPValidationError" not in json.dumps(described)


def breaches(value: Any, schema: dict[str, Any], described: dict[str, Any], at: str = "") -> list[str]:
    """Where `value` is not as the schema says, by the words that the description uses."""
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        found = [breaches(value, each, described, at) for each in schema["anyOf"]]
        return min(found, key=len) if all(found) else []
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None),
    }  # fmt: skip
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{at}: {value!r} is not {schema['type']}"]
    if isinstance(value, list):
        return [each for row in value for each in breaches(row, schema.get("items", {}), described, f"{at}/*")]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    missing = [f"{at}: no {name}" for name in schema.get("required", []) if name not in value]
    extra = [f"{at}: {name} is not described" for name in value if known and name not in known]
    return missing + extra + [each for name in known if name in value
                              for each in breaches(value[name], known[name], described, f"{at}/{name}")]  # fmt: skip

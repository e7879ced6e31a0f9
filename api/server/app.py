"""The FastAPI application."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from importlib.resources import files
from io import BytesIO
from typing import Annotated, Any, Final, Literal

import psycopg
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from api.server.answers import Asked, BadQuestion, page
from api.server.live import Live
from api.server.market import Market, MarketRefused
from api.server.models import PAGES, MarketState, Problem, Ready
from api.server.models import Live as IsLive
from api.server.parameters import PARAMETERS, names
from api.server.walk_models import Walk
from infra.errors import TickledgerError, Unreachable
from infra.settings import Settings
from infra.stack.status import all_ready, status
from projections import audit, formats, migrate
from projections.account_answers import UnknownAccount
from projections.columns import COLUMNS
from projections.database import Connection, connect, explain
from projections.fill_audit import walk
from projections.listings import UnknownSymbol, known_listings
from projections.moments import use_moments

HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
OWN_HEADER: Final = "x-tickledger"
"""Asked of everything that changes something: a page of somebody else can't send it without being asked first."""

TICKS_SHOWN: Final = 200
_NOT_THERE: Final = (UnknownSymbol, UnknownAccount, audit.UnknownRecord)
_REFUSALS: Final = {
    403: "it changes something, and the header X-Tickledger is missing",
    404: "there is no such listing, account or record",
    409: "the market can't be moved like that, or isn't simulated",
    421: "asked for under a name that isn't this machine's",
    422: "a parameter is wrong, or not one of this answer",
    503: "the database can't be asked now",
}
_PAGE_FILES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
}
_SAFE: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class _App(FastAPI):
    """With the model that refusals refer to in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schemas = super().openapi().setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
        assert self.openapi_schema is not None
        return self.openapi_schema


def make_app(settings: Settings, dsn: str, market: Market) -> FastAPI:
    """The application over the database at `dsn`; `market` is the simulated one, if there is one."""

    def slow() -> Mapping[str, Any]:
        return {"services": status(settings)}

    def quick() -> Mapping[str, Any]:
        return {"market": market.state()}

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.live = Live(dsn, quick, slow)
        yield
        app.state.live.close()

    app = _App(
        title="tickledger",
        summary="What the log has, as the database tells it; nothing here changes it.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.dsn = dsn
    app.middleware("http")(_guarded)
    for kind, code in (*((error, 404) for error in _NOT_THERE), (BadQuestion, 422), (MarketRefused, 409)):
        app.exception_handler(kind)(_problem_of(code))
    app.exception_handler(TickledgerError)(_problem_of(503))
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(StarletteHTTPException)(_not_found)
    _add_health(app, settings, dsn)
    _add_answers(app)
    _add_market(app, market)
    _add_page(app)
    return app


def _add_health(app: FastAPI, settings: Settings, dsn: str) -> None:
    @app.get("/health/live", tags=["health"], operation_id="live", responses=_refusals())
    def live() -> IsLive:
        """Whether this process answers."""
        return IsLive(status="live")

    @app.get("/health/ready", tags=["health"], operation_id="ready", responses=_refusals() | {503: {"model": Ready}})
    def ready(response: Response) -> Ready:
        """Whether all services of the home can be used; 503 if not."""
        services = status(settings)
        trouble = ""
        try:
            with connect(dsn, "tickledger api") as connection:
                migrate.check(connection)
        except TickledgerError as error:
            trouble = str(error)
        found = Ready(ready=all_ready(services) and not trouble, services=services, database=trouble)  # type: ignore[arg-type]
        response.status_code = 200 if found.ready else 503
        return found


def _add_answers(app: FastAPI) -> None:
    for what in COLUMNS:
        app.get(
            f"/api/{what}",
            tags=["answers"],
            operation_id=what,
            response_model=PAGES[what],
            responses=_refusals(404, 422, 503),
        )(_answer_of(what))

    @app.get("/api/listings", tags=["answers"], operation_id="listings", responses=_refusals(503))
    def listings(connection: Annotated[Connection, Depends(_connection)]) -> list[str]:
        """All listings of the log, by name."""
        return [listing.name for listing in known_listings(connection)]

    @app.get(
        "/api/audit/{record_id:path}",
        tags=["answers"],
        operation_id="audit",
        response_model=Walk,
        response_model_exclude_unset=True,
        responses=_refusals(404, 422, 503),
    )
    def audit_walk(
        record_id: Annotated[str, PathParameter(description="desk@6/demo/0, or berserker@3/demo/EURUSD/17")],
        connection: Annotated[Connection, Depends(_connection)],
    ) -> dict[str, Any]:
        """The walk from a fill (desk@6/demo/0) or a signal (berserker@3/demo/EURUSD/17) to what caused it."""
        parts, ticks = walk(connection, record_id)
        found = dict.fromkeys(Walk.model_fields) | parts | {"ticks": [], "tick_count": 0}
        if ticks is not None:
            out = BytesIO()
            formats.write_json([ticks.tail(TICKS_SHOWN)], audit.TICK_COLUMNS, out)
            found |= {"ticks": json.loads(out.getvalue()), "tick_count": len(ticks)}
        return found

    @app.get(
        "/api/stream",
        tags=["answers"],
        operation_id="stream",
        response_class=StreamingResponse,
        responses=_refusals(422),
    )
    async def stream(
        request: Request,
        symbol: Annotated[str | None, Query(description="feed/SYMBOL whose candles are pushed too")] = None,
    ) -> StreamingResponse:
        """Server-sent events: each is a section of the page that has changed, as JSON."""

        async def events() -> AsyncIterator[str]:
            async with request.app.state.live.subscribed(symbol) as subscriber:
                async for event in subscriber.events():
                    yield event

        return StreamingResponse(events(), media_type="text/event-stream")


def _refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What an operation may answer instead, for the description: these, and that of any other host's name."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {code: {"description": _REFUSALS[code], "content": content} for code in (*codes, 421)}


def _answer_of(what: str) -> Callable[..., dict[str, Any]]:
    def rows(connection: Annotated[Connection, Depends(_connection)], asked: Any) -> dict[str, Any]:
        return page(connection, Asked(what, **asked.model_dump()))

    rows.__annotations__["asked"] = Annotated[PARAMETERS[what], Query()]
    rows.__doc__ = f"Rows of {what}, ascending, a page at a time."
    return rows


def _add_market(app: FastAPI, market: Market) -> None:
    @app.get("/api/market", tags=["market"], operation_id="market", responses=_refusals())
    def state() -> MarketState:
        """Where the simulated market is."""
        return MarketState(**market.state())

    @app.post("/api/market/{action}", tags=["market"], operation_id="move_market", responses=_refusals(403, 409, 422))
    def act(
        action: Literal["pause", "resume", "speed"],
        value: Annotated[
            float | None, Query(ge=0, le=100_000, description="of speed: times real time, 0 = all it can")
        ] = None,
    ) -> MarketState:
        """Pauses, resumes or paces the simulated market; needs the header X-Tickledger."""
        market.act(action, value)
        return MarketState(**market.state())


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
    def page_file(name: str = "") -> Response:
        if name not in _PAGE_FILES:
            raise HTTPException(404, f"there is no page {name}")
        file, kind = _PAGE_FILES[name]
        return Response((files("api.server.page") / file).read_bytes(), media_type=kind)


def _connection(request: Request) -> Iterator[Connection]:
    with connect(request.app.state.dsn, "tickledger api") as connection:
        use_moments(connection)
        try:
            migrate.check(connection)
            yield connection
        except psycopg.Error as error:
            raise explain(error, request.app.state.dsn) from error


async def _guarded(request: Request, call_next: Callable[[Request], Any]) -> Response:
    """Only this machine's own names, so that no other site's name can be made to lead here; changes need our header."""
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name not in HOSTS:
        return _problem(421, f"this server is 127.0.0.1, not {host!r}")
    if request.method not in ("GET", "HEAD") and OWN_HEADER not in request.headers:
        return _problem(403, "a request that changes something needs the header X-Tickledger: 1")
    response: Response = await call_next(request)
    response.headers.update(_SAFE)
    return response


def _problem_of(code: int) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        return _problem(503 if isinstance(error, Unreachable) else code, str(error))

    return answer


def _invalid(request: Request, error: Exception) -> Response:
    """What is wrong with the parameters; one that the answer hasn't got is named with those that it has."""
    assert isinstance(error, RequestValidationError)
    said = []
    for each in error.errors():
        name = ".".join(str(part) for part in each["loc"][1:])
        if each["type"] == "extra_forbidden":
            what = request.url.path.rpartition("/")[2]
            said.append(f"{what} has no parameter {name}: it takes {', '.join(names(what))}")
        else:
            said.append(f"{name}: {each['msg']}")
    return _problem(422, "; ".join(said))


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    there = error.detail if error.detail != "Not Found" else f"there is nothing at {request.url.path}"
    return _problem(error.status_code, there)


def _problem(code: int, detail: str) -> JSONResponse:
    said = {"type": "about:blank", "status": code, "detail": detail}
    return JSONResponse(said, code, _SAFE, media_type="application/problem+json")

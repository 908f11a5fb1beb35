"""The dashboard's routes: files, a door, and JSON built off the event loop.

The files are open to whoever reaches the port, and say nothing; every figure is
behind the door.  Without a key there is no door, and nothing but a page that
says how to get one.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, to_thread

from lynkr.assembly import build_prices
from lynkr.errors import ClientWireError, LynkrError
from lynkr.gateway import Gateway
from lynkr.pricing import SnapshotPrices
from lynkr.secret import Secret
from lynkr.settings import Settings
from lynkr.wire.json_body import dump, parse_body
from lynkr_server.colleagues import Colleagues
from lynkr_server.dashboard.assets import read_assets
from lynkr_server.dashboard.door import AdminDoor, NotAdmitted, TooManyGuesses, WrongKey, session_cookie
from lynkr_server.dashboard.insights import recommendations_json
from lynkr_server.dashboard.late import ROOT
from lynkr_server.dashboard.overview import overview_json
from lynkr_server.dashboard.policy import policy_json
from lynkr_server.dashboard.reading import Reading
from lynkr_server.dashboard.replays import Replays
from lynkr_server.dashboard.routing import routing_json
from lynkr_server.dashboard.rows import logs_json, request_json
from lynkr_server.dashboard.sessions import session_json, sessions_json
from lynkr_server.dashboard.usage import usage_json
from lynkr_server.http import ClientGone, Incoming, read_body, send_whole

_LOG: Final = logging.getLogger("lynkr.server.dashboard")
_ROOT: Final = ROOT
_API: Final = f"{_ROOT}/api/"
_ASSETS: Final = f"{_ROOT}/assets/"
_MAX_BODY: Final = 16 * 1024
_MAX_PARAMETERS: Final = 32
_READERS: Final = 4
"""Pages built at once: the ledger is read in threads, which routing needs too."""
_REPLAYS: Final = 1
"""Replays at once, beside the other pages."""

# No script, style or connection but our own; nothing inline; in nobody's frame.  `require-trusted-types-for`
# makes the browser refuse text where it would be read as markup, so that nothing recorded becomes script.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
)
_OFF: Final = (
    "the dashboard is off: set server.admin_key_env to a variable that holds a key of its own "
    "(or LYNKR_SERVER_ADMIN_KEY), or start with `lynkr serve --dashboard`"
)

Handler = Callable[[Incoming, Gateway, int], Awaitable[None]]
Builder = Callable[[Reading], object]

_BUILDERS: Final[Mapping[str, Builder]] = MappingProxyType(
    {
        "overview": overview_json,
        "usage": usage_json,
        "routing": routing_json,
        "logs": logs_json,
        "recommendations": recommendations_json,
        "sessions": sessions_json,
        "policy": policy_json,
        # With an id behind it, which may have slashes of its own.
        "requests/": request_json,
        "sessions/": session_json,
    }
)


class DashboardOff(ClientWireError):
    """No admin key is set (403)."""

    def __init__(self) -> None:
        super().__init__(_OFF, status=403)


class Dashboard:
    """Every path at and below ``/dashboard``, for a gateway of *settings*.

    *colleagues* are the other workers of its server, where there are any.  *clock* is in Unix seconds, and so
    is when the gateway *started*, now if it is not said.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        colleagues: Colleagues | None = None,
        clock: Callable[[], float] = time.time,
        started: float | None = None,
    ) -> None:
        self._colleagues = colleagues
        self._clock = clock
        self._started = clock() if started is None else started
        self._door: AdminDoor | None = None
        self._key: Secret | None = None
        self.obey(settings)
        self._assets = read_assets()
        self._readers = CapacityLimiter(_READERS)
        self._replayers = CapacityLimiter(_REPLAYS)
        page, asset = self._page, self._asset
        self.routes: Mapping[str, Mapping[str, Handler]] = MappingProxyType(
            {
                _ROOT: {"GET": page},
                _ASSETS: {"GET": asset},
                f"{_API}session": {"GET": self._session},
                f"{_API}login": {"POST": self._log_in},
                f"{_API}logout": {"POST": self._log_out},
                **{
                    f"{_API}{name}": {"GET": self._behind(name, builder)}
                    for name, builder in _BUILDERS.items()
                },
            }
        )

    def obey(self, settings: Settings) -> None:
        """Go by *settings* from now on; another key ends every session."""
        self._settings = settings
        self._price_table: SnapshotPrices | None = None
        self._replays = Replays()
        key = settings.server.admin_key or None
        if key != self._key:
            self._key = key
            self._door = None if key is None else self._door_of(key)

    def _door_of(self, key: Secret) -> AdminDoor:
        colleagues = self._colleagues
        if colleagues is None:
            return AdminDoor(key)
        return AdminDoor(key, logins=colleagues.board, doors=colleagues.doors)

    @staticmethod
    def owns(path: str) -> bool:
        """Whether *path* is the dashboard's to answer."""
        return path == _ROOT or path.startswith(f"{_ROOT}/")

    async def serve(self, incoming: Incoming, gateway: Gateway, live: int) -> None:
        """Answer a request for a path the dashboard owns; *live* requests are being served by the gateway."""
        try:
            await self._handler(incoming)(incoming, gateway, live)
        except ClientGone:
            return
        except LynkrError as error:
            if isinstance(error, WrongKey | TooManyGuesses):
                _LOG.warning("%s: %s", _peer(incoming), error)
            await _refuse(incoming, error)

    def _handler(self, incoming: Incoming) -> Handler:
        path, method = str(incoming.scope["path"]), str(incoming.scope["method"])
        route = next(
            (
                known
                for known in self.routes
                if path == known or (known.endswith("/") and path.startswith(known))
            ),
            _ROOT if path == f"{_ROOT}/" else None,
        )
        if route is None:
            raise ClientWireError(f"there is nothing at {path}", status=404)
        methods = self.routes[route]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise ClientWireError(f"{path} takes {', '.join(methods)}", status=405)
        return handler

    # ------------------------------------------------------------------ files

    async def _page(self, incoming: Incoming, _gateway: Gateway, _live: int) -> None:
        is_off = self._door is None
        await self._send_asset(incoming, "off.html" if is_off else "index.html", 403 if is_off else 200)

    async def _asset(self, incoming: Incoming, _gateway: Gateway, _live: int) -> None:
        await self._send_asset(incoming, str(incoming.scope["path"]).removeprefix(_ASSETS), 200)

    async def _send_asset(self, incoming: Incoming, name: str, status: int) -> None:
        asset = self._assets.get(name)
        if asset is None:
            raise ClientWireError(f"the dashboard has no file {name!r}", status=404)
        headers = {**_HEADERS, "cache-control": "no-cache", "etag": asset.etag}
        if status == 200 and incoming.headers.get("if-none-match") == asset.etag:
            await send_whole(incoming.send, 304, headers, b"")
            return
        await send_whole(incoming.send, status, {**headers, "content-type": asset.media_type}, asset.body)

    # ------------------------------------------------------------------ the door

    def _opened(self) -> AdminDoor:
        if self._door is None:
            raise DashboardOff
        return self._door

    async def _session(self, incoming: Incoming, _gateway: Gateway, _live: int) -> None:
        """Whether who asks is logged in, for the page to know whether to ask for the key."""
        try:
            self._opened().admit(incoming.headers, _peer(incoming))
        except NotAdmitted:
            await _send_json(incoming, 200, {"admitted": False})
        else:
            await _send_json(incoming, 200, {"admitted": True})

    async def _log_in(self, incoming: Incoming, _gateway: Gateway, _live: int) -> None:
        """``{"key": ..., "secure": ...}``; *secure* asks for a cookie that never leaves in clear text."""
        door = self._opened()
        shown = parse_body(await read_body(incoming, _MAX_BODY)).value
        key = shown.get("key")
        if not isinstance(key, str):
            raise ClientWireError('send {"key": "..."}', status=400)
        token = door.log_in(key, _peer(incoming))
        cookie = session_cookie(token, secure=shown.get("secure") is True)
        await _send_json(incoming, 200, {"admitted": True}, {"set-cookie": cookie})

    async def _log_out(self, incoming: Incoming, _gateway: Gateway, _live: int) -> None:
        self._opened().log_out(incoming.headers)
        cookie = session_cookie("", secure=False)
        await _send_json(incoming, 200, {"admitted": False}, {"set-cookie": cookie})

    # ------------------------------------------------------------------ figures

    def _behind(self, name: str, builder: Builder) -> Handler:
        """*builder*'s JSON, in a worker thread, for who is admitted."""
        limiter = self._replayers if builder is policy_json else self._readers

        async def serve(incoming: Incoming, gateway: Gateway, live: int) -> None:
            self._opened().admit(incoming.headers, _peer(incoming))
            others = [] if self._colleagues is None else self._colleagues.states()
            reading = Reading(
                gateway=gateway,
                settings=self._settings,
                prices=await to_thread.run_sync(self._prices),
                now=self._clock(),
                started=self._started,
                live=live + sum(state["live"] for state in others),
                replays=self._replays,
                asked=_asked(incoming, f"{_API}{name}"),
                others=others,
            )
            try:
                built = await to_thread.run_sync(lambda: _build(builder, reading), limiter=limiter)
            except ClientWireError:
                raise
            except Exception as error:  # noqa: BLE001  # reason: the shim's edge; a ledger that cannot be read says so
                _LOG.exception("the dashboard's %s failed", name)
                failed = {"error": f"{name}_api_error", "detail": f"{type(error).__name__}: {error}"}
                await _send_json(incoming, 500, failed)
                return
            if built is None:
                raise ClientWireError(f"nothing of that id is in the ledger: {reading.id}", status=404)
            await _send_bytes(incoming, 200, built)

        return serve

    def _prices(self) -> SnapshotPrices:
        """The prices of the settings, read when the first page wants them."""
        if self._price_table is None:
            self._price_table = build_prices(self._settings)
        return self._price_table


def _build(builder: Builder, reading: Reading) -> bytes | None:
    built = builder(reading)
    return None if built is None else dump(built)


def _peer(incoming: Incoming) -> str:
    """The address the connection comes from, as the socket says."""
    client = incoming.scope.get("client")
    return "" if client is None else str(client[0])


def _asked(incoming: Incoming, route: str) -> Mapping[str, str]:
    """The query's parameters, the last of each name; what the path has behind *route* is called ``id``."""
    query: bytes = incoming.scope.get("query_string", b"")
    try:
        pairs = parse_qsl(query.decode("ascii", "replace"), max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise ClientWireError(f"the query is not readable: {error}", status=400) from error
    return MappingProxyType({**dict(pairs), "id": str(incoming.scope["path"])[len(route) :]})


async def _refuse(incoming: Incoming, error: LynkrError) -> None:
    names = {
        401: "not_admitted",
        403: "dashboard_off",
        404: "not_found",
        405: "wrong_method",
        429: "too_many_guesses",
    }
    status = error.status if isinstance(error, ClientWireError) else error.status_hint
    headers: dict[str, str] = {}
    match error:
        case TooManyGuesses():
            headers["retry-after"] = str(int(error.retry_after) + 1)
        case NotAdmitted():
            headers["www-authenticate"] = "Bearer"
        case _:
            pass
    await _send_json(
        incoming, status, {"error": names.get(status, "bad_request"), "detail": str(error)}, headers
    )


async def _send_json(
    incoming: Incoming,
    status: int,
    body: Mapping[str, Any],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    await _send_bytes(incoming, status, dump(body), headers)


async def _send_bytes(
    incoming: Incoming, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    fixed = {**_HEADERS, "cache-control": "no-store", "content-type": "application/json"}
    await send_whole(incoming.send, status, {**fixed, **headers}, body)

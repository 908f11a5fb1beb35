"""A blocking face of the gateway, for scripts.

One event loop in one background thread, started by ``with`` and ended by it;
a call costs a few tens of microseconds more than its async twin.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from lynkr.gateway import Gateway
from lynkr.model import Event, Request, Response
from lynkr.routing import Decision


class SyncGateway:
    """Runs the gateway that *factory* makes, in a loop of its own.

    A factory, not a gateway, because connections belong to the loop they were
    opened in.  Use it as a context manager; several threads may call it.

    >>> import lynkr
    >>> with lynkr.SyncGateway(lambda: lynkr.build_gateway(lynkr.Settings())) as gateway:  # doctest: +SKIP
    ...     print(gateway.ask(lynkr.Request("lynkr-auto", (lynkr.Message.user("hi"),))))
    """

    def __init__(self, factory: Callable[[], Gateway], *, backend: str = "asyncio") -> None:
        self._factory = factory
        self._backend = backend
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._gateway: Gateway | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(self._backend))
            self._gateway = self._portal.call(self._make)
            stack.callback(self._portal.call, self._gateway.aclose)
            self._stack = stack.pop_all()
        return self

    async def _make(self) -> Gateway:
        return self._factory()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        self._portal = self._gateway = None
        self._stack.close()

    def _running(self) -> tuple[BlockingPortal, Gateway]:
        if self._portal is None or self._gateway is None:
            raise RuntimeError("use the SyncGateway inside `with`")
        return self._portal, self._gateway

    def decide(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> Decision:
        """As `Gateway.decide`."""
        _, gateway = self._running()
        return gateway.decide(request, session=session, tenant=tenant)

    def ask(self, request: Request, /, *, session: str | None = None, tenant: str | None = None) -> Response:
        """As `Gateway.ask`, blocking."""
        portal, gateway = self._running()
        return portal.call(lambda: gateway.ask(request, session=session, tenant=tenant))

    @contextmanager
    def stream(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> Generator[Iterator[Event], None, None]:
        """As `Gateway.stream`, blocking: gives an iterator of events."""
        portal, gateway = self._running()
        with portal.wrap_async_context_manager(
            gateway.stream(request, session=session, tenant=tenant)
        ) as events:

            async def following() -> Event | None:
                return await anext(events, None)

            yield iter(lambda: portal.call(following), None)

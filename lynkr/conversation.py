"""Conversations in OpenAI Responses that refer to an earlier answer instead of repeating it.

An answer the gateway translated is kept here, under the id the client was
given.  One that a provider of the same dialect gave is kept there too, and
the client's own bytes go on naming it, as long as that provider answers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve, frozen

from lynkr.errors import UnknownResponseError
from lynkr.exchange import WireExchange
from lynkr.model import Extras, Message, Part, Request, Role, WireFormat
from lynkr.routing.decision import Target
from lynkr.stores import ResponseStore, StoredResponse, tenant_of

_RESPONSES: Final = WireFormat.OPENAI_RESPONSES
_PREVIOUS: Final = "previous_response_id"
# Ids and seals that lynkr gave (`lynkr.wire.openai_responses`): a provider must not be shown them.
_OURS: Final = re.compile(rb'"id"\s*:\s*"[a-z]+_lynkr_|"encrypted_content"\s*:\s*"lynkr\.')


@frozen
class Conversations:
    """Resumes a request's conversation before it is planned, and keeps its answer afterwards.

    *clock* is in seconds, the store's own.
    """

    store: ResponseStore
    clock: Callable[[], float]

    def resume(self, exchange: WireExchange, headers: Mapping[str, str]) -> None:
        """Give the exchange's request the messages before it, where they are known."""
        request = exchange.request
        if request is None or exchange.client_format is not _RESPONSES:
            return
        tenant = tenant_of(headers)
        previous = previous_of(request)
        if previous is not None:
            exchange.resumed = self.store.get(tenant, previous, self.clock())
            if exchange.resumed is not None:
                exchange.asked = request
                exchange.request = _continued(request, exchange.resumed)
        if exchange.raw is not None and _OURS.search(exchange.raw.body.data):
            exchange.raw = None
        if request.extras.of(_RESPONSES).get("store") is not False:
            exchange.keep = self._keeper(exchange, tenant)

    def settle(self, exchange: WireExchange, speaks: Callable[[Target], bool]) -> None:
        """Once it is planned: see that every target can know what the request refers to.

        *speaks* tells the targets that speak Responses themselves.

        Raises:
            UnknownResponseError: nobody can.
        """
        plan, asked = exchange.plan, exchange.asked or exchange.request
        previous = None if asked is None else previous_of(asked)
        if plan is None or previous is None:
            return
        speakers = tuple(target for target in plan.targets if speaks(target))
        resumed = exchange.resumed
        if resumed is None:
            # Only a provider's own store can know it.
            if not speakers or exchange.raw is None:
                raise UnknownResponseError(previous)
            exchange.plan = plan.only(speakers)
        elif any(target.provider != resumed.provider for target in speakers):
            exchange.raw = None

    def _keeper(self, exchange: WireExchange, tenant: str) -> Callable[[str, tuple[Part, ...]], None]:
        def keep(response_id: str, parts: tuple[Part, ...]) -> None:
            request, reply = exchange.request, exchange.reply
            if request is None or reply is None or not response_id:
                return
            provider = reply.target.provider if reply.raw is not None else None
            history = (*_without_instructions(request.messages), Message(Role.ASSISTANT, parts))
            self.store.put(tenant, response_id, StoredResponse(history, provider), self.clock())

        return keep


def previous_of(request: Request) -> str | None:
    """The id of the answer *request* goes on from."""
    value = request.extras.of(_RESPONSES).get(_PREVIOUS)
    return value if isinstance(value, str) else None


def _without_instructions(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """*messages* less the plain system message at their head, which is the field `instructions`.

    "The instructions from a previous response will not be carried over to the next response"
    (openai 3.54, response_create_params.py, read 2026-11).
    """
    return messages[1:] if _is_instructions(messages) else messages


def _is_instructions(messages: tuple[Message, ...]) -> bool:
    return bool(messages) and messages[0].role is Role.SYSTEM and not messages[0].extras.fields


def _continued(request: Request, resumed: StoredResponse) -> Request:
    messages = request.messages
    head = messages[:1] if _is_instructions(messages) else ()
    fields = {name: value for name, value in request.extras.fields.items() if name != _PREVIOUS}
    return evolve(
        request,
        messages=(*head, *resumed.messages, *messages[len(head) :]),
        extras=Extras(_RESPONSES, fields),
    )

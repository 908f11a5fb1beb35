"""``POST /v1/embeddings``: a pass-through in OpenAI's dialect, to a target somebody named.

Embeddings of one model mean nothing to another, so nothing is routed and
nothing falls back: the client names the target, as ``provider:model`` or by an
alias, or the owner has set one for all other names.
"""

from collections.abc import Callable, Mapping

from lynkr.errors import ClientWireError, RoutingError
from lynkr.exchange import Plan, WireExchange
from lynkr.model import Json, Request, WireFormat
from lynkr.providers.base import Embedder, Provider
from lynkr.routing.decision import Target
from lynkr.service import Call, RawBody, Reply, Service
from lynkr.wire.json_body import JsonBody

NOT_IMPLEMENTED = 501


def plan_embedding(
    exchange: WireExchange, body: JsonBody, named: Callable[[str], Target | None], default: Target | None
) -> Plan:
    """Fill *exchange* from the client's *body* and say where it goes.

    *named* gives the target a model name stands for, None for a name that
    stands for none.

    Raises:
        ClientWireError: the body is malformed, or its model is nobody's.
    """
    model = body.value.get("model")
    if not isinstance(model, str):
        raise ClientWireError("is required, as a string", field="model")
    _check_input(body.value.get("input"))
    exchange.request = Request(model=model, messages=())
    exchange.raw = RawBody(WireFormat.OPENAI_CHAT, body)
    target = named(model) or default
    if target is None:
        raise ClientWireError(
            f"{model!r} names no target; ask for provider:model or an alias",
            field="model",
        )
    exchange.plan = plan = Plan((target,))
    return plan


def _check_input(value: Json) -> None:
    """A text, the numbers of one, or a list of either (`CreateEmbeddingRequest`, OpenAI's document 2.3.0).

    Objects are let through: of several hosts' models they are images.
    """
    if value is None:
        raise ClientWireError("is required", field="input")
    if isinstance(value, str):
        return
    if not isinstance(value, list | tuple) or not value:
        raise ClientWireError("must be a string or an array that is not empty", field="input")
    for at, item in enumerate(value):
        if isinstance(item, bool) or not isinstance(item, str | int | list | tuple | Mapping):
            raise ClientWireError("must be a text, a token or a list of tokens", field=f"input[{at}]")


def embedding_service(providers: Mapping[str, Provider]) -> Service:
    """The innermost service of embeddings: the provider the target names.

    The service raises `ClientWireError` (501) where that provider has none.
    """

    async def serve(call: Call) -> Reply:
        provider: object = providers.get(call.target.provider)
        if provider is None:
            raise RoutingError(f"{call.target}: no provider is named {call.target.provider!r}; configure it")
        reply = await provider.embed(call) if isinstance(provider, Embedder) else None
        if reply is None:
            raise ClientWireError(
                f"{call.target.provider} has no embeddings", field="model", status=NOT_IMPLEMENTED
            )
        return reply

    return serve

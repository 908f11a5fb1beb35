"""A host that speaks several dialects: each client is served in its own, where the host has it."""

from collections.abc import Mapping

from attrs import frozen

from lynkr.model import WireFormat
from lynkr.providers.base import Embedder, Provider, TokenCounter, formats_of
from lynkr.routing.decision import Profile
from lynkr.routing.media import media_in
from lynkr.service import Call, Reply
from lynkr.wire.base import Codec


@frozen
class DialectProvider:
    """Implements `lynkr.providers.base.Provider` and `TokenCounter`.

    A client whose dialect is in *spoken* is answered by that provider, so that
    its bytes go through untouched; everybody else by *default*.  All of them
    have one name and share one transport, which the default closes if it is its own.
    """

    default: Provider
    spoken: Mapping[WireFormat, Provider]

    @property
    def name(self) -> str:
        return self.default.name

    @property
    def codec(self) -> Codec:
        """The default's; see `lynkr.providers.base.Provider`."""
        return self.default.codec

    def profile(self, model: str, /) -> Profile:
        return self.default.profile(model)

    def formats(self, model: str, /) -> frozenset[WireFormat]:
        """See `lynkr.providers.base.Polyglot`."""
        return frozenset((*self.spoken, *formats_of(self.default, model)))

    async def send(self, call: Call, /) -> Reply:
        return await self._for(call).send(call)

    async def count_tokens(self, call: Call, /) -> int | None:
        """By whichever of the dialects counts, the client's own first."""
        own = self._for(call)
        for provider in (own, *(other for other in self.spoken.values() if other is not own)):
            if isinstance(provider, TokenCounter):
                counted = await provider.count_tokens(call)
                if counted is not None:
                    return counted
        return None

    async def embed(self, call: Call, /) -> Reply | None:
        """By the dialect *call*'s body is in; see `lynkr.providers.base.Embedder`."""
        provider = self._for(call)
        return await provider.embed(call) if isinstance(provider, Embedder) else None

    async def aclose(self) -> None:
        await self.default.aclose()

    def _for(self, call: Call) -> Provider:
        raw = call.raw
        if raw is not None:
            return self.spoken.get(raw.format, self.default)
        # Nobody's bytes, but parts of it may be able to go in one dialect only.
        owners = (media.format for media in media_in(call.request))
        return next((self.spoken[owner] for owner in owners if owner in self.spoken), self.default)

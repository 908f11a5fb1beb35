"""What a host wants different from its dialect's plain body, as data."""

from collections.abc import Mapping

from attrs import frozen

from lynkr.model import Json


@frozen
class BodyRules:
    """Rules for bodies of the OpenAI Chat dialect; the default changes nothing.

    *stream_usage*: ask for usage at the end of a stream, which the dialect
    leaves out by default.  *completion_tokens_prefixes*: models whose names
    begin so refuse ``max_tokens`` and want ``max_completion_tokens``.
    """

    stream_usage: bool = False
    completion_tokens_prefixes: tuple[str, ...] = ()

    def apply(self, body: Mapping[str, Json], model: str) -> Mapping[str, Json]:
        """*body* as the host wants it; the same object when nothing is to change."""
        changed = dict(body)
        if self.refuses(body, model):
            limit = changed.pop("max_tokens")
            changed.setdefault("max_completion_tokens", limit)
        if self.stream_usage and body.get("stream") is True:
            # OpenAI Chat, "stream_options": usage comes in the last chunk (read 2026-11).
            match body.get("stream_options"):
                case Mapping() as asked:
                    changed["stream_options"] = {**asked, "include_usage": True}
                case _:
                    changed["stream_options"] = {"include_usage": True}
        return body if changed == body else changed

    def refuses(self, body: Mapping[str, Json], model: str) -> bool:
        """Whether the host would answer 400 to *body* as it stands: it cannot go through untouched."""
        return "max_tokens" in body and model.startswith(self.completion_tokens_prefixes)


PLAIN_BODIES = BodyRules()
CHAT_BODIES = BodyRules(stream_usage=True)

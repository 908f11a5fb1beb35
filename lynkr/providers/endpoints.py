"""Where a host takes requests: at one address, or at one for each model."""

from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from attrs import frozen

from lynkr.providers.base import Endpoint

_PLACE: Final = "{model}"


@frozen
class FixedEndpoint:
    """One address for every model."""

    address: str

    def url(self, model: str, /, *, stream: bool) -> str:  # noqa: ARG002  # the protocol's arguments
        return self.address


@frozen
class SiblingEndpoint:
    """Another call of the host whose chat call is at *chat*: the end of the path differs."""

    chat: Endpoint
    chat_path: str
    path: str

    def url(self, model: str, /, *, stream: bool) -> str:
        """The address for *model*.

        Raises:
            ValueError: the chat call has none, or not at *chat_path*.
        """
        parts = urlsplit(self.chat.url(model, stream=stream))
        if not parts.path.endswith(self.chat_path):
            raise ValueError(f"no {self.path} beside {parts.path}")
        return urlunsplit(parts._replace(path=parts.path.removesuffix(self.chat_path) + self.path))


@frozen
class ModelEndpoint:
    """An address whose path names the model, and perhaps whether the answer is to be streamed.

    Both addresses hold ``{model}`` once::

        ModelEndpoint("https://host/model/{model}/converse", "https://host/model/{model}/converse-stream")

    *kept* are characters of a model's name that the host wants as they are;
    all others but letters, digits and ``-._~`` are percent-encoded.
    """

    whole: str
    streamed: str
    kept: str = ""

    def url(self, model: str, /, *, stream: bool) -> str:
        """The address for *model*.

        Raises:
            ValueError: no path can name it: HTTP libraries would make another path of it.
        """
        if not model or any(segment in ("", ".", "..") for segment in self._segments(model)):
            raise ValueError(f"{model!r} cannot stand in a path")
        return (self.streamed if stream else self.whole).replace(_PLACE, quote(model, safe=self.kept))

    def _segments(self, model: str) -> list[str]:
        return model.split("/") if "/" in self.kept else [model]

"""What is passed on in its own dialect or not at all: audio, documents, video, several answers.

The canonical model has no name for such parts, so they travel as `Foreign` and an
encoder of another dialect would drop them.  A request without its document is
another request, and so is one for three answers (Chat's ``n``) that gets one:
such a target is not asked.

The names are those of the vendors' own types: openai 3.54 (`ChatCompletionContentPartInputAudio`,
`File`, `ResponseInputFile`, ``modalities``), anthropic 2.12 (`DocumentBlockParam`,
`ContainerUploadBlockParam`), Converse's `ContentBlock`, Gemini's `Part` (read 2026-11).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import frozen

from lynkr.model import Foreign, Json, Message, Request, ToolResult, WireFormat

if TYPE_CHECKING:
    from lynkr.routing.decision import Profile


class MediaKind(StrEnum):
    AUDIO = "audio"
    DOCUMENT = "document"
    VIDEO = "video"
    ANSWERS = "several answers"


@frozen
class Media:
    """A kind of part that only *format* can carry, and that dialect's own *name* for it."""

    format: WireFormat
    kind: MediaKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} (`{self.name}` is passed on in {self.format} only)"


def _named(format: WireFormat, **kinds: MediaKind) -> Mapping[str, Media]:
    return MappingProxyType({name: Media(format, kind, name) for name, kind in kinds.items()})


_AUDIO, _DOCUMENT, _VIDEO = MediaKind.AUDIO, MediaKind.DOCUMENT, MediaKind.VIDEO
_BY_TYPE: Final[Mapping[WireFormat, Mapping[str, Media]]] = MappingProxyType(
    {
        WireFormat.ANTHROPIC_MESSAGES: _named(
            WireFormat.ANTHROPIC_MESSAGES, document=_DOCUMENT, container_upload=_DOCUMENT
        ),
        # `video_url` is OpenRouter's and vLLM's (read 2026-11).
        WireFormat.OPENAI_CHAT: _named(
            WireFormat.OPENAI_CHAT, input_audio=_AUDIO, file=_DOCUMENT, video_url=_VIDEO
        ),
        WireFormat.OPENAI_RESPONSES: _named(
            WireFormat.OPENAI_RESPONSES, input_file=_DOCUMENT, input_audio=_AUDIO
        ),
    }
)
_CONVERSE: Final = _named(WireFormat.BEDROCK_CONVERSE, document=_DOCUMENT, audio=_AUDIO, video=_VIDEO)
_AUDIO_ANSWER: Final = Media(WireFormat.OPENAI_CHAT, _AUDIO, "modalities")
_AUDIO_HISTORY: Final = Media(WireFormat.OPENAI_CHAT, _AUDIO, "audio")
_SEVERAL: Final = Media(WireFormat.OPENAI_CHAT, MediaKind.ANSWERS, "n")


def media_of(part: Foreign) -> Media | None:
    """What *part* is, if it is media; None for blocks that may fall as a declared loss."""
    value = part.value
    if not isinstance(value, Mapping):
        return None
    match part.format:
        case WireFormat.BEDROCK_CONVERSE:
            return next((media for name, media in _CONVERSE.items() if name in value), None)
        case WireFormat.GEMINI:
            return _of_gemini(value)
        case format:
            kind = value.get("type")
            return _BY_TYPE.get(format, {}).get(kind) if isinstance(kind, str) else None


def _of_gemini(value: Mapping[str, Json]) -> Media | None:
    for name in ("inlineData", "fileData"):
        data = value.get(name)
        mime = data.get("mimeType") if isinstance(data, Mapping) else None
        if not isinstance(mime, str):
            continue
        family = mime.partition("/")[0].casefold()
        kind = {"audio": _AUDIO, "video": _VIDEO}.get(family, _DOCUMENT)
        return None if family == "image" else Media(WireFormat.GEMINI, kind, name)
    return None


def media_asked(request: Request) -> Media | None:
    """The spoken answer a Chat client asks for with ``modalities``."""
    wanted = request.extras.of(WireFormat.OPENAI_CHAT).get("modalities")
    is_spoken = isinstance(wanted, Sequence) and not isinstance(wanted, str) and "audio" in wanted
    return _AUDIO_ANSWER if is_spoken else None


def answers_asked(request: Request) -> Media | None:
    """The answers beyond the first that a Chat client asks for with ``n``."""
    count = request.extras.of(WireFormat.OPENAI_CHAT).get("n")
    return _SEVERAL if isinstance(count, int) and count > 1 else None


def media_answered(message: Message) -> Media | None:
    """The earlier spoken answer a Chat client refers to with ``audio``."""
    is_spoken = message.extras.of(WireFormat.OPENAI_CHAT).get("audio") is not None
    return _AUDIO_HISTORY if is_spoken else None


def media_in(request: Request) -> tuple[Media, ...]:
    """All there is of it in *request*, each once."""
    found: list[Media | None] = [media_asked(request), answers_asked(request)]
    for message in request.messages:
        if message.extras.fields:
            found.append(media_answered(message))
        for part in message.parts:
            if isinstance(part, Foreign):
                found.append(media_of(part))
            elif isinstance(part, ToolResult):
                found.extend(media_of(inner) for inner in part.content if isinstance(inner, Foreign))
    return distinct(found)


def distinct(found: Iterable[Media | None]) -> tuple[Media, ...]:
    """*found* without repetitions, in order."""
    return tuple(dict.fromkeys(media for media in found if media is not None))


def lacking(profile: "Profile", media: Sequence[Media]) -> Media | None:
    """The first of *media* that a target of *profile* cannot be given; None if it can all."""
    able = {_AUDIO: profile.audio, _DOCUMENT: profile.documents, MediaKind.ANSWERS: profile.several_answers}
    for one in media:
        if profile.formats is not None and one.format not in profile.formats:
            return one
        if able.get(one.kind) is False:
            return one
    return None

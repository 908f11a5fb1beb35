"""The dashboard's own files, as the browser gets them: no build step, no foreign origin."""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

from attrs import frozen

_MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "html": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
        "txt": "text/plain; charset=utf-8",
    }
)


@frozen
class Asset:
    """One file: its bytes, and a tag that changes with them."""

    media_type: str
    body: bytes
    etag: str


def read_assets() -> Mapping[str, Asset]:
    """Every file of the dashboard by its path below ``static``, with slashes; some 200 KB, kept in memory."""
    static = files("lynkr_server.dashboard").joinpath("static")
    return MappingProxyType(dict(_read(static, "")))


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{name}/")
        elif (media_type := _MEDIA_TYPES.get(name.rpartition(".")[2])) is not None:
            body = entry.read_bytes()
            yield name, Asset(media_type, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

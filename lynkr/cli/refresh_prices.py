"""Makes a price snapshot from downloaded price lists: the file work around `lynkr.pricing.snapshot`."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from attrs import evolve, frozen

from lynkr.errors import ConfigError
from lynkr.model import Json
from lynkr.pricing import SnapshotPrices
from lynkr.pricing.snapshot import (
    LITELLM_COVERS,
    Models,
    Source,
    build_snapshot,
    models_of_genai_prices,
    models_of_litellm,
)


@frozen
class PriceList:
    """A downloaded price list: where it lies, the release it is from and the day it was taken (ISO)."""

    path: Path
    version: str
    date: str


def refresh(
    out: Path,
    *,
    date: str,
    litellm: PriceList | None = None,
    genai_prices: PriceList | None = None,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a snapshot dated *date* (ISO) to *out* and return it.

    *litellm* is LiteLLM's ``model_prices_and_context_window.json``: most
    providers.  *genai_prices* is genai-prices' ``data.json``: OpenRouter.
    What neither covers is kept from *previous*.  The new snapshot is
    validated before it replaces the old file, in one step: a malformed
    download changes nothing.

    Raises:
        ConfigError: a list is missing, is not JSON, or has none of the prices it is known for.
    """
    parts: list[tuple[Source, Models]] = []
    if litellm is not None:
        raw, source = _read(
            litellm, "LiteLLM model_prices_and_context_window.json", "Copyright (c) 2023 Berri AI"
        )
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{litellm.path} is not LiteLLM's price file: expected one JSON object")
        parts.append(
            (evolve(source, covers=LITELLM_COVERS), models_of_litellm(cast("Mapping[str, Json]", raw)))
        )
    if genai_prices is not None:
        raw, source = _read(
            genai_prices, "genai-prices data.json", "Copyright (c) Pydantic Services Inc. 2025 to present"
        )
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise ConfigError(f"{genai_prices.path} is not genai-prices' data: expected a JSON array")
        parts.append(
            (
                evolve(source, covers=("openrouter",)),
                models_of_genai_prices(cast("Sequence[Json]", raw), date=date),
            )
        )
    if not parts:
        raise ConfigError("no price list given; name a downloaded one")
    snapshot = build_snapshot(parts, date=date, previous=previous)
    SnapshotPrices(snapshot)
    _replace(out, spelled(snapshot))
    return snapshot


def spelled(snapshot: Mapping[str, Any]) -> str:
    """The snapshot as text, a line for each model, so that a refresh reads well as a diff."""
    head = {key: value for key, value in snapshot.items() if key != "models"}
    lines = [json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "models": {']
    for i, (namespace, models) in enumerate(snapshot["models"].items()):
        entries = ",\n".join(
            f"   {json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}"
            for name, entry in models.items()
        )
        comma = "," if i + 1 < len(snapshot["models"]) else ""
        lines.append(f"  {json.dumps(namespace)}: {{\n{entries}\n  }}{comma}")
    return "\n".join([*lines, " }", "}", ""])


def _read(listed: PriceList, name: str, copyright_line: str) -> tuple[Any, Source]:
    try:
        text = listed.path.read_bytes()
        raw = json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"cannot read {listed.path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{listed.path} is not JSON: {error}") from error
    source = Source(
        name=name,
        version=listed.version,
        date=listed.date,
        sha256=hashlib.sha256(text).hexdigest(),
        licence="MIT",
        notice=f"{copyright_line}. {_MIT}",
        covers=(),
    )
    return raw, source


def _replace(out: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(out)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and "
    'associated documentation files (the "Software"), to deal in the Software without restriction, '
    "including without limitation the rights to use, copy, modify, merge, publish, distribute, "
    "sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is "
    "furnished to do so, subject to the following conditions: The above copyright notice and this "
    "permission notice shall be included in all copies or substantial portions of the Software. THE "
    'SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT '
    "LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. "
    "IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER "
    "LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN "
    "CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."
)

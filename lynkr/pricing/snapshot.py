"""Builds the snapshot of prices and limits that ships as prices.json from public price lists.

Shape of a snapshot::

    {"date": "2026-11-23", "unit": "USD per million tokens", "digest": "<sha256 of models>",
     "sources": [{"name", "version", "date", "sha256", "licence", "notice", "covers": ["anthropic", ...]}],
     "models": {"anthropic": {"claude-opus-4-5": {
         "input": "5", "output": "25", "cache_read": "0.5", "cache_write": "6.25", "cache_write_1h": "10",
         "tiers": [{"above": 200000, "input": ..., ...}],
         "context_window": 200000, "max_output": 64000,
         "tools": true, "vision": true, "reasoning": true, "structured_output": true}}}}

Prices are decimal strings, so that no binary fraction comes between a price
list and a bill.  A field that a list does not state is absent, which is
unknown: a model may have limits and no price, or a price and no limits.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from attrs import frozen

from lynkr.errors import ConfigError
from lynkr.model import Json

Entry = dict[str, Json]
Models = Mapping[str, Mapping[str, Json]]


@frozen
class Source:
    """Where a part of a snapshot comes from.  *date* is the ISO day it was taken, *covers* the namespaces."""

    name: str
    version: str
    date: str
    sha256: str
    licence: str
    notice: str
    covers: tuple[str, ...]

    def as_json(self) -> Entry:
        return {
            "name": self.name,
            "version": self.version,
            "date": self.date,
            "sha256": self.sha256,
            "licence": self.licence,
            "notice": self.notice,
            "covers": list(self.covers),
        }


def digest_of(models: Json) -> str:
    """SHA-256 of the canonical JSON of *models*, in hex."""
    text = json.dumps(models, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def build_snapshot(
    parts: Iterable[tuple[Source, Models]], *, date: str, previous: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """One snapshot of several price lists; *date* is ISO.

    What *previous* has of a namespace that no part covers stays, under its
    own source and that source's date.

    Raises:
        ConfigError: two parts cover one namespace, a part has nothing for a
            namespace it claims to cover, or *previous* is no snapshot.
    """
    models: dict[str, Mapping[str, Json]] = {}
    sources: list[Json] = []
    for source, part in parts:
        for namespace in source.covers:
            if namespace in models:
                raise ConfigError(f"two sources give prices of {namespace!r}; let one of them cover it")
            entries = part.get(namespace)
            if not entries:
                raise ConfigError(
                    f"{source.name} has no usable entry for {namespace!r}; has its format changed?"
                )
            models[namespace] = entries
        sources.append(source.as_json())
    for kept, entries_of in _kept(previous, frozenset(models)):
        sources.append(kept)
        models.update(entries_of)
    ordered: dict[str, Json] = {name: dict(sorted(models[name].items())) for name in sorted(models)}
    return {
        "date": date,
        "unit": "USD per million tokens",
        "digest": digest_of(ordered),
        "sources": sources,
        "models": ordered,
    }


def _kept(
    previous: Mapping[str, Json] | None, covered: frozenset[str]
) -> Iterator[tuple[Entry, Mapping[str, Mapping[str, Json]]]]:
    if previous is None:
        return
    models = mapping_at(previous, "models", "the previous snapshot")
    sources = previous.get("sources")
    if not isinstance(sources, Sequence):
        raise ConfigError("the previous snapshot names no sources; build one without it")
    for source in sources:
        covers = source.get("covers") if isinstance(source, Mapping) else None
        if not isinstance(source, Mapping) or not isinstance(covers, Sequence) or isinstance(covers, str):
            raise ConfigError(
                "a source of the previous snapshot does not say what it covers; build one without it"
            )
        rest = [str(name) for name in covers if name not in covered]
        if rest:
            kept: list[Json] = list(rest)
            yield {**source, "covers": kept}, {name: mapping_at(models, name, "models") for name in rest}


def mapping_at(node: Mapping[str, Json], key: str, where: str) -> Mapping[str, Json]:
    """The JSON object under *key*.

    Raises:
        ConfigError: there is none.
    """
    value = node.get(key)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} has no object {key!r}; this is not a price snapshot of lynkr's")
    return value


# LiteLLM's model_prices_and_context_window.json: one object, model name -> USD per token and limits.
# Its names carry the provider as a path prefix for some providers and not for others (read 2026-11).
_LITELLM_NAMESPACES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "anthropic": ("anthropic", ""),
        "openai": ("openai", ""),
        "azure": ("azure", "azure/"),
        "azure_ai": ("azure", "azure_ai/"),
        "bedrock": ("bedrock", ""),
        "bedrock_converse": ("bedrock", ""),
        "deepseek": ("deepseek", "deepseek/"),
        "gemini": ("google", "gemini/"),
        "mistral": ("mistral", "mistral/"),
        "moonshot": ("moonshot", "moonshot/"),
        "vertex_ai": ("vertex", "vertex_ai/"),
        "vertex_ai-anthropic_models": ("vertex", "vertex_ai/"),
        "vertex_ai-language-models": ("vertex", ""),
        "xai": ("xai", "xai/"),
        "zai": ("zai", "zai/"),
    }
)
LITELLM_COVERS: Final = tuple(sorted({namespace for namespace, _ in _LITELLM_NAMESPACES.values()}))
_LITELLM_PRICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cache_read": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    }
)
_LITELLM_ABILITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tools": "supports_function_calling",
        "vision": "supports_vision",
        "reasoning": "supports_reasoning",
        "structured_output": "supports_response_schema",
    }
)
_LITELLM_TIER: Final = re.compile(r"input_cost_per_token_above_(\d{1,6})k_tokens", re.ASCII)
# Bedrock resells a hundred models; these are the families an agent is run on.
_BEDROCK_FAMILIES: Final = ("anthropic.", "amazon.nova", "openai.")
_PER_MILLION: Final = Decimal(1_000_000)
_DEAREST: Final = Decimal(1_000)  # USD per million tokens; the dearest model listed costs 600 (read 2026-11)


def models_of_litellm(raw: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """The chat models that lynkr's providers serve, from LiteLLM's price file.

    *context_window* is the file's `max_input_tokens`: the longest input, which
    for some models is less than the window less the answer.
    """
    models: dict[str, dict[str, Json]] = {}
    for key, facts in raw.items():
        if not isinstance(facts, Mapping) or facts.get("mode") not in ("chat", "responses"):
            continue
        place = _LITELLM_NAMESPACES.get(str(facts.get("litellm_provider")))
        if place is None:
            continue
        namespace, prefix = place
        name = key.removeprefix(prefix)
        if not _is_wanted(namespace, name):
            continue
        entry = _litellm_entry(facts)
        if entry:
            # Both spellings of a name, with and without the prefix, say the same; the prefixed one is newer.
            known = models.setdefault(namespace, {})
            if name not in known or key != name:
                known[name] = entry
    return models


def _is_wanted(namespace: str, name: str) -> bool:
    if namespace == "bedrock":
        return "/" not in name and "@" not in name and any(family in name for family in _BEDROCK_FAMILIES)
    # A path in the name is a region or a commitment, priced by contract; fine-tunes are priced by their base.
    return "/" not in name and not name.startswith("ft:") and "audio" not in name


def _litellm_entry(facts: Mapping[str, Json]) -> Entry:
    entry = _litellm_prices(facts, "")
    if entry:
        thresholds = sorted({int(found[1]) for key in facts if (found := _LITELLM_TIER.fullmatch(key))})
        tiers: list[Json] = []
        for thousands in thresholds:
            tier = _litellm_prices(facts, f"_above_{thousands}k_tokens")
            if not tier:
                return {}  # half a price is no price
            tiers.append({"above": thousands * 1000, **tier})
        if tiers:
            entry["tiers"] = tiers
    for ours, theirs in (("context_window", "max_input_tokens"), ("max_output", "max_output_tokens")):
        limit = facts.get(theirs)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
            entry[ours] = limit
    for ours, theirs in _LITELLM_ABILITIES.items():
        ability = facts.get(theirs)
        if isinstance(ability, bool):
            entry[ours] = ability
    return entry


def _litellm_prices(facts: Mapping[str, Json], suffix: str) -> Entry:
    found = {
        ours: _per_million(facts.get(theirs + suffix), _PER_MILLION)
        for ours, theirs in _LITELLM_PRICES.items()
    }
    return _checked(found)


def _checked(found: Mapping[str, str | None]) -> Entry:
    """The prices that are stated; none at all unless input and output are, and one of them is not zero.

    A list that says 0 for both means a preview, a quota or a gap as often as
    a gift; whoever knows it is free says so with an override.  Writing to a
    cache at 0 means no surcharge: such tokens cost what input costs.  A price
    beyond `_DEAREST` is a slip of the list's, per thousand tokens for per million.
    """
    rates = (found["input"], found["output"])
    if None in rates or rates == ("0", "0") or any(Decimal(rate or 0) > _DEAREST for rate in rates):
        return {}
    return {
        ours: price
        for ours, price in found.items()
        if price is not None and not (price == "0" and ours.startswith("cache_write"))
    }


def _per_million(value: "Json | Decimal", scale: Decimal) -> str | None:
    """A price as a plain decimal string; a float goes by its shortest spelling, as the file has it."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    price = Decimal(str(value)) * scale
    if not price.is_finite() or price < 0:
        return None
    return format(price.normalize(), "f") if price else "0"


# genai-prices' data.json: a list of providers; prices are USD per million tokens, a number or base + tiers,
# and where they change with time a list of which the last one whose constraint holds counts (read 2026-11).
_GENAI_PRICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "input": "input_mtok",
        "output": "output_mtok",
        "cache_read": "cache_read_mtok",
        "cache_write": "cache_write_mtok",
        "cache_write_1h": "cache_write_1h_mtok",
    }
)
_OPENROUTER_AUTHORS: Final = frozenset({
    "anthropic", "deepseek", "google", "meta-llama", "minimax", "mistralai",
    "moonshotai", "openai", "qwen", "x-ai", "z-ai",
})  # fmt: skip


def models_of_genai_prices(raw: Sequence[Json], *, date: str) -> dict[str, dict[str, Json]]:
    """The well-known authors' models on OpenRouter, as priced on *date* (ISO), from genai-prices' data.

    Variants (``:batch``, ``:free``) are left out: their prices are another service's.
    """
    entries: dict[str, Json] = {}
    for provider in raw:
        if not isinstance(provider, Mapping) or provider.get("id") != "openrouter":
            continue
        models = provider.get("models")
        for model in models if isinstance(models, Sequence) else ():
            name = model.get("id") if isinstance(model, Mapping) else None
            if not isinstance(model, Mapping) or not isinstance(name, str) or ":" in name:
                continue
            if name.partition("/")[0] in _OPENROUTER_AUTHORS and (entry := _genai_entry(model, date)):
                entries[name] = entry
    return {"openrouter": entries}


def _genai_entry(model: Mapping[str, Json], date: str) -> Entry:
    prices = _genai_prices_on(model.get("prices"), date)
    entry = {} if prices is None else _genai_prices(prices)
    window = model.get("context_window")
    if isinstance(window, int) and not isinstance(window, bool) and window > 0:
        entry["context_window"] = window
    return entry


def _genai_prices_on(prices: Json, date: str) -> Mapping[str, Json] | None:
    """The prices in force; None where they depend on the time of day, which a table cannot say."""
    if isinstance(prices, Mapping):
        return prices
    chosen: Mapping[str, Json] | None = None
    for choice in prices if isinstance(prices, Sequence) and not isinstance(prices, str) else ():
        found = choice.get("prices") if isinstance(choice, Mapping) else None
        if not isinstance(choice, Mapping) or not isinstance(found, Mapping):
            return None
        constraint = choice.get("constraint")
        start: Json = ""
        if constraint is not None:
            start = constraint.get("start_date") if isinstance(constraint, Mapping) else None
        if not isinstance(start, str):
            return None
        if start <= date:
            chosen = found
    return chosen


def _genai_prices(prices: Mapping[str, Json]) -> Entry:
    base: dict[str, str | None] = {}
    steps: dict[int, dict[str, str | None]] = {}
    for ours, theirs in _GENAI_PRICES.items():
        price = prices.get(theirs)
        tiers: Json = ()
        if isinstance(price, Mapping):
            tiers = price.get("tiers")
            price = price.get("base")
        base[ours] = _per_million(price, Decimal(1))
        for tier in tiers if isinstance(tiers, Sequence) else ():
            if not isinstance(tier, Mapping) or not isinstance(start := tier.get("start"), int):
                return {}
            steps.setdefault(start, {})[ours] = _per_million(tier.get("price"), Decimal(1))
    entry = _checked(base)
    listed: list[Json] = []
    for start in sorted(steps):
        base |= steps[start]
        tier = _checked(base)
        if not tier:
            return {}  # half a price is no price
        listed.append({"above": start, **tier})
    if entry and listed:
        entry["tiers"] = listed
    return entry

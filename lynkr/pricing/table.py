"""The price table made of a snapshot and the owner's overrides."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final, cast

from lynkr.errors import ConfigError
from lynkr.model import Json
from lynkr.pricing.price import FREE, Price
from lynkr.pricing.snapshot import digest_of, mapping_at
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target

# Programs on the owner's own machine: nobody bills per token.  Power and hardware are not counted.
LOCAL_KINDS: Final = frozenset(
    {"ollama", "ollama-native", "ollama-openai", "ollama-anthropic", "llamacpp", "lmstudio"}
)

_NAMESPACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai-responses": "openai",
        "azure-openai": "azure",
        "azure-openai-responses": "azure",
        "azure-anthropic": "azure",
        "gemini": "google",
        "vertex-anthropic": "vertex",
        "bedrock-anthropic": "bedrock",
        "grok": "xai",
        "x-ai": "xai",
        "z-ai": "zai",
        "z.ai": "zai",
        "lm-studio": "lmstudio",
    }
)  # other names a kind may go by; a kind that is not here is its own namespace
_NO_PRICES: Final[Mapping[Target, Price]] = MappingProxyType({})
_NO_PROFILES: Final[Mapping[Target, Profile]] = MappingProxyType({})
_NO_KINDS: Final[Mapping[str, str | None]] = MappingProxyType({})
_MOST_FOUND: Final = 4_096
_NO_PATHS: Final = frozenset({"openrouter"})  # there the author before the slash is part of the name

# claude-opus-4-5-20251101, claude-opus-4-5@20251101, gpt-4o-2024-08-06, claude-opus-4-7@default
_RELEASE: Final = re.compile(r"(?:-latest|@default|[-@](?:19|20)\d{6}|-20\d\d-\d\d-\d\d)\Z", re.ASCII)
# Bedrock's cross-region inference profiles: us.anthropic.claude-opus-4-5-20251101-v1:0
_GEOGRAPHY: Final = re.compile(r"\A(?:global|us|us-gov|eu|apac|jp|au|ca)\.(?=[a-z0-9]+\.)", re.ASCII)


def load_snapshot() -> dict[str, Json]:
    """The snapshot shipped with this version of lynkr, read from the package.

    Raises:
        ConfigError: the file is damaged.
    """
    from importlib.resources import files  # noqa: PLC0415 - reading is on demand, so is its machinery

    text = files("lynkr.pricing").joinpath("prices.json").read_text(encoding="utf-8")
    try:
        snapshot = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"lynkr's own prices.json is damaged ({error}); reinstall lynkr") from error
    return cast("dict[str, Json]", snapshot)


class SnapshotPrices:
    """Prices and profiles out of a snapshot, with the owner's own above them.

    A price is looked for in this order, and the first one found counts:

    1. *overrides*: the exact target, then ``provider:*`` (all of its models);
    2. a provider in *free_providers* costs nothing, and so does one whose kind
       is there and runs on the owner's machine (`LOCAL_KINDS`);
    3. the snapshot, in the namespace of the provider's kind: the exact name,
       then the name without a path that only repeats the namespace
       (``openai/gpt-4o``, ``models/gemini-2.5-pro``), then without a release
       (a date, ``-latest``, ``@default``).

    Otherwise it is unknown.  There is no longest-prefix guess and no default
    price.  Bedrock's regional profiles (``us.anthropic...``) are priced only
    by their own entries, because some regions cost more; their limits come
    from the model they run.

    *kinds* maps a provider's configured name to its kind; a name that is not
    there is its own kind, and one mapped to None bills by no known list (a
    host of one's own that speaks OpenAI's dialect).

    Raises:
        ConfigError: the snapshot is damaged or is none.
    """

    def __init__(
        self,
        snapshot: Mapping[str, Json],
        overrides: Mapping[Target, Price] = _NO_PRICES,
        *,
        profiles: Mapping[Target, Profile] = _NO_PROFILES,
        kinds: Mapping[str, str | None] = _NO_KINDS,
        free_providers: frozenset[str] = LOCAL_KINDS,
    ) -> None:
        self._overrides = dict(overrides)
        self._profiles = dict(profiles)
        self._kinds = dict(kinds)
        self._free = free_providers
        self._prices: dict[str, dict[str, Price]] = {}
        self._found: dict[Target, Price | None] = {}
        self._limits: dict[str, dict[str, Profile]] = {}
        models = mapping_at(snapshot, "models", "the snapshot")
        for namespace in models:
            prices, limits = self._prices.setdefault(namespace, {}), self._limits.setdefault(namespace, {})
            for name, entry in mapping_at(models, namespace, "models").items():
                where = f"models.{namespace}.{name}"
                if not isinstance(entry, Mapping):
                    raise ConfigError(f"{where} is not an object")
                limits[name] = _profile_of(entry, where)
                if "input" in entry:
                    prices[name] = _price_of(entry, where)
        self._version = _version_of(snapshot, models, self._overrides, self._free)

    @property
    def version(self) -> str:
        """The snapshot's date and digest, and after a plus sign a digest of what the owner set himself.

        Computed from the prices in use, so equal versions mean equal prices.
        """
        return self._version

    def price(self, target: Target, /) -> Price | None:
        """None means unknown, which is not the same as free."""
        try:
            return self._found[target]
        except KeyError:
            found = self._look_up(target)
        if len(self._found) < _MOST_FOUND:  # a client may name any model it likes
            self._found[target] = found
        return found

    def _look_up(self, target: Target) -> Price | None:
        for known in (target, Target(target.provider, "*")):
            if (price := self._overrides.get(known)) is not None:
                return price
        kind = self._kinds.get(target.provider, target.provider)
        if target.provider in self._free:
            return FREE
        if kind is None:
            return None
        namespace = _NAMESPACES.get(kind, kind)
        # Only these: a local provider that is called "openai" makes no other of that kind free.
        if namespace in self._free & LOCAL_KINDS:
            return FREE
        prices = self._prices.get(namespace, {})
        return next((prices[name] for name in _names_of(namespace, target.model) if name in prices), None)

    def profile(self, target: Target, /) -> Profile:
        """What the target can do; the owner's word first, `UNKNOWN_PROFILE` where nobody says."""
        for known in (target, Target(target.provider, "*")):
            if (profile := self._profiles.get(known)) is not None:
                return profile
        kind = self._kinds.get(target.provider, target.provider)
        if kind is None:
            return UNKNOWN_PROFILE
        namespace = _NAMESPACES.get(kind, kind)
        limits = self._limits.get(namespace, {})
        names = (*_names_of(namespace, target.model), *_names_of(namespace, _GEOGRAPHY.sub("", target.model)))
        return next((limits[name] for name in names if name in limits), UNKNOWN_PROFILE)


def _names_of(namespace: str, model: str) -> Iterator[str]:
    """The names a model may be listed under, the most exact first."""
    yield model
    if namespace not in _NO_PATHS:
        path, slash, last = model.rpartition("/")
        if slash and path in (namespace, "models"):
            model = last
            yield model
    undated = _RELEASE.sub("", model)
    if undated != model:
        yield undated


def _price_of(entry: Mapping[str, Json], where: str) -> Price:
    tiers = entry.get("tiers", ())
    if not isinstance(tiers, Sequence):
        raise ConfigError(f"{where}.tiers is not a list")
    steps: list[tuple[int, Price]] = []
    for tier in tiers:
        above = tier.get("above") if isinstance(tier, Mapping) else None
        if not isinstance(tier, Mapping) or not isinstance(above, int):
            raise ConfigError(f"{where}.tiers: a tier needs `above`, a number of tokens")
        steps.append((above, _price_of({key: tier[key] for key in tier if key != "tiers"}, where)))
    try:
        return Price(
            input=Decimal(str(entry["input"])),
            output=Decimal(str(entry["output"])),
            cache_read=_decimal(entry.get("cache_read")),
            cache_write=_decimal(entry.get("cache_write")),
            cache_write_1h=_decimal(entry.get("cache_write_1h")),
            tiers=tuple(steps),
        )
    except KeyError as error:
        raise ConfigError(f"{where} has no {error} price") from error
    except (InvalidOperation, ValueError) as error:
        raise ConfigError(f"{where} has a price that is none: {error}") from error


def _decimal(value: Json) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _profile_of(entry: Mapping[str, Json], where: str) -> Profile:
    return Profile(
        tools=_flag(entry, "tools", where),
        vision=_flag(entry, "vision", where),
        reasoning=_flag(entry, "reasoning", where),
        structured_output=_flag(entry, "structured_output", where),
        context_window=_count(entry, "context_window", where),
        max_output=_count(entry, "max_output", where),
    )


def _flag(entry: Mapping[str, Json], key: str, where: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{where}.{key} is neither true nor false")
    return value


def _count(entry: Mapping[str, Json], key: str, where: str) -> int | None:
    value = entry.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{where}.{key} is not a positive number of tokens")
    return value


def _version_of(
    snapshot: Mapping[str, Json],
    models: Mapping[str, Json],
    overrides: Mapping[Target, Price],
    free: frozenset[str],
) -> str:
    version = f"{snapshot.get('date', 'undated')}-{digest_of(models)[:8]}"
    if not overrides and free == LOCAL_KINDS:
        return version
    own: dict[str, Json] = {str(target): repr(price) for target, price in overrides.items()}
    return f"{version}+{digest_of([own, sorted(free)])[:8]}"

"""The layers settings come from, merged into one raw tree that remembers where each key was set."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_origin

import attrs
from attrs import define, field

from lynkr.errors import ConfigError
from lynkr.providers.base import Timeouts
from lynkr.routing.decision import Tier
from lynkr.settings.problems import KeyPath, Problem, closest, did_you_mean
from lynkr.settings.seed import variable_text
from lynkr.settings.tree import ProviderSettings, Settings, TenantSettings
from lynkr.settings.values import EnvironmentText, as_table

PREFIX: Final = "LYNKR_"
_NOT_KEYS: Final = frozenset({"source", "ignored"})
_OWN_NAMES: Final = frozenset({"LYNKR_CONFIG"})


@define
class RawTree:
    """Nested dictionaries as TOML gives them, and the origin of each key."""

    file: str
    value: dict[str, Any] = field(factory=dict[str, Any])
    origins: dict[KeyPath, str] = field(factory=dict[KeyPath, str])

    def put(self, key: KeyPath, value: object, origin: str) -> None:
        """Set *key*, over what was there; what is no table in its way gives way."""
        table = self.value
        for part in key[:-1]:
            below = as_table(table.get(part))
            if below is None:
                below = {}
                table[part] = below
            table = below
        table[key[-1]] = value
        self.origins[key] = origin

    def table(self, *key: str) -> dict[str, Any]:
        """The table at *key*; an empty one if there is none (or something else, which is refused later)."""
        table = self.value
        for part in key:
            below = as_table(table.get(part))
            if below is None:
                return {}
            table = below
        return table

    def tables(self, section: str) -> dict[str, dict[str, Any]]:
        """The tables below *section*, such as the providers."""
        below = {name: as_table(value) for name, value in self.table(section).items()}
        return {name: table for name, table in below.items() if table is not None}

    def origin(self, key: KeyPath) -> str:
        """Where *key*, or the nearest table around it that was set as a whole, comes from."""
        for length in range(len(key), 0, -1):
            origin = self.origins.get(key[:length])
            if origin is not None:
                return origin
        return self.file


def read_file(path: Path | None) -> RawTree:
    """The file's tree, empty without a *path*.

    Numbers with a fraction are read as `Decimal`, so that prices stay exact.

    Raises:
        ConfigError: no such file, not readable, or not TOML.
    """
    if path is None:
        return RawTree("the defaults")
    try:
        text = path.read_bytes().decode("utf-8")
        return RawTree(str(path), tomllib.loads(text, parse_float=Decimal))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{path}: the settings file cannot be read ({reason}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: the settings file is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: the settings file is not TOML: {error}; correct it there") from error


def known_keys(cls: type) -> frozenset[str]:
    return frozenset(a.name for a in attrs.fields(cls)) - _NOT_KEYS


def put_environment(tree: RawTree, environ: Mapping[str, str], spare: Iterable[str] = ()) -> list[Problem]:
    """Lay ``LYNKR_<SECTION>_<KEY>`` over *tree*; empty values count as unset.

    Names in *spare* belong to somebody else (an ``api_key_env``).  A name that
    starts like a section's but ends in no key of it is a problem; one that is
    like nothing here is left alone.
    """
    problems: list[Problem] = []
    not_ours = _OWN_NAMES | set(spare)
    for name in sorted(environ):
        text = environ[name].strip()
        if not name.startswith(PREFIX) or name in not_ours or not text:
            continue
        found = _key_of(name.removeprefix(PREFIX), tree)
        if isinstance(found, Problem):
            problems.append(attrs.evolve(found, origin=variable_text(name)))
        elif found is not None:
            key, is_table = found
            value = _table_text(key, text, variable_text(name)) if is_table else EnvironmentText(text)
            if isinstance(value, Problem):
                problems.append(value)
            else:
                tree.put(key, value, variable_text(name))
    return problems


def put_overrides(tree: RawTree, overrides: Mapping[str, object]) -> None:
    """Lay dotted keys from a command line over *tree*."""
    for dotted, value in overrides.items():
        tree.put(tuple(dotted.split(".")), value, f"option --{dotted.rpartition('.')[2].replace('_', '-')}")


def _key_of(name: str, tree: RawTree) -> tuple[KeyPath, bool] | Problem | None:
    """The key that ``LYNKR_<name>`` means and whether it holds a table (written as JSON)."""
    section, _, rest = name.lower().partition("_")
    if section == "default":
        return (("default",), False) if not rest else None
    if section not in known_keys(Settings) or not rest:
        return None
    match section:
        case "tiers":
            return ("tiers", rest.upper()), False
        case "aliases":
            return ("aliases", _existing(rest, tree.table("aliases"))), False
        case "providers":
            return _provider_key(rest, tree)
        case "tenants":
            return _tenant_key(rest, tree)
        case "profiles":
            return Problem((section,), "", "cannot be set from the environment", "set it in a file")
        case _:
            return _leaf((section,), attrs.fields_dict(Settings)[section].type or Settings, rest)


def _provider_key(rest: str, tree: RawTree) -> tuple[KeyPath, bool] | Problem:
    """``local_api_key_env`` is a provider's name and a key: the longest key that fits is taken."""
    keys: dict[str, KeyPath] = {key: (key,) for key in known_keys(ProviderSettings) - {"timeouts"}}
    keys |= {f"timeouts_{key}": ("timeouts", key) for key in known_keys(Timeouts)}
    for key in sorted(keys, key=len, reverse=True):
        provider = rest.removesuffix(f"_{key}")
        if provider not in ("", rest):
            path = ("providers", _existing(provider, tree.table("providers")), *keys[key])
            return path, key == "headers"
    provider, _, key = rest.partition("_")
    return Problem(("providers", provider, key), "", "is not a known key", did_you_mean(key, keys))


def _tenant_key(rest: str, tree: RawTree) -> tuple[KeyPath, bool] | Problem:
    """``acme_request_budget_usd`` is a tenant's name and a key: the longest key that fits is taken."""
    keys = known_keys(TenantSettings)
    for key in sorted(keys, key=len, reverse=True):
        tenant = rest.removesuffix(f"_{key}")
        if tenant not in ("", rest):
            kind = attrs.fields_dict(TenantSettings)[key].type
            path = ("tenants", _existing(tenant, tree.table("tenants")), key)
            return path, get_origin(kind) is Mapping
    tenant, _, key = rest.partition("_")
    return Problem(("tenants", tenant, key), "", "is not a known key", did_you_mean(key, keys))


def _leaf(section: KeyPath, cls: type, name: str) -> tuple[KeyPath, bool] | Problem:
    known = known_keys(cls)
    if name not in known:
        return Problem((*section, name), "", "is not a known key", did_you_mean(name, known))
    return (*section, name), get_origin(attrs.fields_dict(cls)[name].type) is Mapping


def _existing(name: str, table: Mapping[str, Any]) -> str:
    """*name* as the file spells it: a variable's name has neither case nor hyphens."""
    return next((known for known in table if known.lower().replace("-", "_") == name), name)


def _table_text(key: KeyPath, text: str, origin: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return Problem(key, origin, "is not a JSON object", 'write {"key": value, ...}')


def suggest_name(name: str) -> str | None:
    """The ``LYNKR_`` name that *name*, which means nothing, may have been meant to be."""
    candidates = {f"{PREFIX}DEFAULT", *_OWN_NAMES, *(f"{PREFIX}TIERS_{tier.name}" for tier in Tier)}
    for section, attribute in attrs.fields_dict(Settings).items():
        if isinstance(attribute.type, type) and attrs.has(attribute.type):
            candidates |= {f"{PREFIX}{section}_{key}".upper() for key in known_keys(attribute.type)}
    return closest(name, candidates, cutoff=0.85)

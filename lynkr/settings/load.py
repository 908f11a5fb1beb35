"""Reading settings: file, environment and command line into one checked tree."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import evolve

from lynkr.providers.addresses import is_loopback
from lynkr.providers.base import Timeouts
from lynkr.providers.builtin import ALIASES, HOSTS
from lynkr.providers.hosts import Host
from lynkr.settings.problems import KeyPath, Problem, did_you_mean, raise_for
from lynkr.settings.seed import (
    UNSUPPORTED,
    ignored_names,
    is_in_use,
    seed_settings,
    variable_text,
)
from lynkr.settings.sources import PREFIX, RawTree, put_environment, put_overrides, read_file, suggest_name
from lynkr.settings.structure import structure
from lynkr.settings.tree import Notice, ProviderSettings, Settings, Severity
from lynkr.settings.values import EnvironmentText, as_list

_SettingsT = TypeVar("_SettingsT", bound=Settings)


def load_settings(
    cls: type[_SettingsT], path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> _SettingsT:
    """See `Settings.load`."""
    tree = read_file(path)
    seeds, problems = seed_settings(environ)
    for seed in seeds:
        tree.put(seed.key, seed.value, variable_text(seed.variable))
    key_variables = set(_key_variables(tree))
    problems += put_environment(tree, environ, spare=key_variables)
    put_overrides(tree, overrides)
    key_variables |= set(_key_variables(tree))
    _complete_providers(tree, environ)
    _read_keys(tree, ("server",), environ)
    _read_keys(tree, ("server",), environ, "metrics_key")
    _read_keys(tree, ("server",), environ, "admin_key")
    for name in tree.tables("tenants"):
        _read_keys(tree, ("tenants", name), environ)
    problems += _unknown_providers(tree)
    problems += _bad_names(tree)
    problems += _bad_urls(tree)
    settings, faults = structure(cls, tree)
    raise_for([*problems, *faults])
    raise_for([*_exposure(settings, tree), *_shared_key(settings, tree)])
    return evolve(
        settings,
        providers=MappingProxyType(
            {
                name: evolve(
                    provider, timeouts=_own_timeouts(settings, provider, tree.table("providers", name))
                )
                for name, provider in settings.providers.items()
            }
        ),
        source=path,
        ignored=tuple(_ignored(environ, key_variables)),
    )


def _own_timeouts(settings: Settings, provider: ProviderSettings, raw: Mapping[str, Any]) -> Timeouts:
    """The provider's timeouts where it has its own, the general ones for the rest."""
    own = {key: getattr(provider.timeouts, key) for key in raw.get("timeouts", ())}
    return evolve(settings.timeouts, **own)


def _named_targets(tree: RawTree) -> Iterator[tuple[KeyPath, str]]:
    """Every ``provider:model`` in the tree that requests may go to, and its key."""
    named: dict[KeyPath, Any] = {(key,): tree.value.get(key) for key in ("default", "embeddings")}
    for section in ("tiers", "aliases"):
        named |= {(section, name): value for name, value in tree.table(section).items()}
    for key, value in named.items():
        items: object = value.split(",") if isinstance(value, EnvironmentText) else value
        for item in as_list(items) or [items]:
            if isinstance(item, str) and ":" in item:
                yield key, item.strip()


def _complete_providers(tree: RawTree, environ: Mapping[str, str]) -> None:
    """Fill in what goes without saying: built-in providers in use, kinds, keys, *local*."""
    named = {target.partition(":")[0].strip() for _, target in _named_targets(tree)}
    for provider in tree.tables("providers").values():
        kind_name = provider.get("kind")
        if isinstance(kind_name, str):
            provider["kind"] = ALIASES.get(kind_name, kind_name)
    claimed: set[str] = set()
    for name, host in HOSTS.items():
        variable = _key_variable(host, environ)
        if variable is None or (host.base_url is None and name not in tree.table("providers")):
            continue  # a dialect without a host of its own, or a cloud nobody gave an address in
        # A key brings in the first kind it is for; that host's other dialects are there when asked for.
        has_key = bool(environ.get(variable, "").strip()) and variable not in claimed
        claimed.add(variable)
        if name in named or has_key or name in tree.table("providers"):
            if name not in tree.table("providers"):
                tree.put(("providers", name), {}, variable_text(variable) if has_key else tree.file)
            _complete_builtin(tree.table("providers", name), name, variable)
    for name, provider in tree.tables("providers").items():
        _read_keys(tree, ("providers", name), environ)
        kind = HOSTS.get(str(provider.get("kind")))
        if kind is not None:
            _read_settings(tree, name, kind, environ)
        address = _hostname(provider.get("base_url"))
        own = kind is not None and kind.is_local if address is None else is_loopback(address)
        provider.setdefault("local", own)


def _read_settings(tree: RawTree, name: str, host: Host, environ: Mapping[str, str]) -> None:
    """What the provider called *name* leaves open, from the variables its cloud's users keep it in."""
    for key, variables in host.setting_envs.items():
        found = next((v for v in variables if environ.get(v, "").strip()), None)
        if found is not None and key not in tree.table("providers", name):
            text = EnvironmentText(environ[found].strip())
            tree.put(("providers", name, key), text, variable_text(found))


def _key_variable(host: Host, environ: Mapping[str, str]) -> str | None:
    """The first of a host's variables that is set, else the one its key usually stands in."""
    names = (host.key_env, *host.other_key_envs)
    return next((name for name in names if name and environ.get(name, "").strip()), host.key_env)


def _complete_builtin(provider: dict[str, Any], name: str, key_variable: str) -> None:
    provider.setdefault("kind", name)
    # Another kind under a built-in name is another host: it must not be sent the built-in's key.
    if provider["kind"] == name:
        provider.setdefault("api_key_env", key_variable)


def _read_keys(tree: RawTree, section: KeyPath, environ: Mapping[str, str], key: str = "api_key") -> None:
    """Read ``api_key_env`` into ``api_key``: above a key in the file, below ``LYNKR_..._API_KEY``."""
    table = tree.table(*section)
    variable = table.get(f"{key}_env")
    if isinstance(variable, str) and not isinstance(table.get(key), EnvironmentText):
        text = environ.get(variable.strip(), "").strip()
        if text:
            tree.put((*section, key), EnvironmentText(text), variable_text(variable.strip()))


def _key_variables(tree: RawTree) -> Iterator[str]:
    sections = (*tree.tables("providers").values(), *tree.tables("tenants").values())
    for section in (tree.table("server"), *sections):
        for name in ("api_key_env", "admin_key_env", "metrics_key_env"):
            variable = section.get(name)
            if isinstance(variable, str):
                yield variable.strip()


def _unknown_providers(tree: RawTree) -> Iterator[Problem]:
    known = {*tree.table("providers"), *(name for name, host in HOSTS.items() if host.base_url)}
    for key, target in _named_targets(tree):
        name = target.partition(":")[0].strip()
        if not name or name in known:
            continue
        message = f'names the provider "{name}", '
        if name in UNSUPPORTED:
            message, fix = f"{message}which this version does not support", UNSUPPORTED[name]
        else:
            message, fix = f"{message}which is not configured", did_you_mean(name, known)
            fix += (
                f" Otherwise add [providers.{name}]" if fix.endswith("?") else f", or add [providers.{name}]"
            )
        yield Problem(key, tree.origin(key), message, fix)


def _bad_names(tree: RawTree) -> Iterator[Problem]:
    for name in tree.table("providers"):
        if ":" in name or not name.strip() or name != name.strip():
            key = ("providers", name)
            fix = "give it a name without colons and spaces around it"
            yield Problem(key, tree.origin(key), "cannot be named by provider:model", fix)


def _bad_urls(tree: RawTree) -> Iterator[Problem]:
    for name, provider in tree.tables("providers").items():
        url = provider.get("base_url")
        key = ("providers", name, "base_url")
        fix = "write it as http://host:port/v1"
        host = HOSTS.get(str(provider.get("kind")))
        if url is None and host is not None and host.base_url is None:
            yield Problem(key, tree.origin(key), "is missing", fix)
        if not isinstance(url, str) or not url.strip():
            continue
        try:
            parts = urlsplit(url.strip())
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            yield Problem(key, tree.origin(key), "is not a URL", fix)
            continue
        if not valid:
            yield Problem(key, tree.origin(key), "is not an http or https URL", fix)
        elif "@" in parts.netloc:
            fix = "name the variable that holds the key in api_key_env"
            yield Problem(key, tree.origin(key), "holds credentials", fix)
        elif parts.query or parts.fragment:
            yield Problem(key, tree.origin(key), "has a query or a fragment", fix)


def _hostname(url: object) -> str | None:
    if not isinstance(url, str):
        return None
    try:
        return urlsplit(url.strip()).hostname
    except ValueError:
        return None


def _exposure(settings: Settings, tree: RawTree) -> Iterator[Problem]:
    server = settings.server
    if not is_loopback(server.host) and not settings.asks_for_keys:
        key = ("server", "host")
        message = "is an address others can reach, and no API key is set"
        fix = "set LYNKR_SERVER_API_KEY or server.api_key_env, or listen on 127.0.0.1"
        yield Problem(key, tree.origin(key), message, fix)
    if server.metrics_open and not is_loopback(server.host):
        key = ("server", "metrics_open")
        message = "would show what is spent to everyone who reaches server.host"
        yield Problem(key, tree.origin(key), message, "set server.metrics_key_env instead")
    if server.metrics_key and server.metrics_key in server.accepted_keys:
        key = ("server", "metrics_key")
        fix = "give the scraper a key of its own: every client holds the API key"
        yield Problem(key, tree.origin(key), "is an API key as well", fix)
    if settings.otel.content and not settings.telemetry.record_text:
        key = ("otel", "content")
        message = "puts recorded text on spans, and none is recorded"
        yield Problem(key, tree.origin(key), message, "set telemetry.record_text too, or leave it out")
    url = settings.otel.endpoint
    if url is not None and (urlsplit(url).scheme not in ("http", "https") or "@" in url):
        key = ("otel", "endpoint")
        message = "is not an http or https URL without credentials"
        yield Problem(key, tree.origin(key), message, "write it as http://127.0.0.1:4318")


def _shared_key(settings: Settings, tree: RawTree) -> Iterator[Problem]:
    server = settings.server
    if server.admin_key and server.admin_key in server.accepted_keys:
        key = ("server", "admin_key")
        fix = "give the dashboard a key of its own: every client holds the API key"
        yield Problem(key, tree.origin(key), "is an API key as well", fix)

    owners = {sha256(key.reveal().encode()).digest(): "server.api_key" for key in server.accepted_keys}
    for secret, of in ((server.admin_key, "server.admin_key"), (server.metrics_key, "server.metrics_key")):
        if secret:
            owners[sha256(secret.reveal().encode()).digest()] = of
    for name, tenant in settings.tenants.items():
        for digest in tenant.key_digests:
            owner = owners.setdefault(digest, f"tenants.{name}")
            if owner != f"tenants.{name}":
                path: KeyPath = ("tenants", name, "api_key")
                fix = "give each tenant a key of its own (`lynkr key` makes one)"
                yield Problem(path, tree.origin(path), f"is the key of {owner} as well", fix)


def _ignored(environ: Mapping[str, str], key_variables: set[str]) -> Iterator[Notice]:
    told: set[str] = set()
    if is_in_use(environ):
        for name, advice in ignored_names(environ):
            told.add(name)
            yield Notice(Severity.WARNING, name, f"is not used: {advice}")
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in told or name in key_variables:
            continue
        meant = suggest_name(name)
        if meant is not None and meant != name:
            yield Notice(Severity.WARNING, name, f"means nothing here; did you mean {meant}?")

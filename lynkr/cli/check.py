"""``lynkr check``: what is configured, and what each tier lacks."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from lynkr.assembly import build_prices, build_router
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import json_line, table
from lynkr.errors import ConfigError
from lynkr.providers import HOSTS
from lynkr.routing.decision import Tier
from lynkr.settings import (
    Notice,
    ProviderSettings,
    RoutingSettings,
    Settings,
    Severity,
    TenantSettings,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr check``."""
    add_config(parser)
    add_json(parser, "the result")


def run(arguments: argparse.Namespace) -> int:
    """Print what there is; 0 if requests can be served, else 1 and a line per problem."""
    try:
        settings = read_settings(arguments)
        prices = build_prices(settings)
        notices = settings.warnings(prices)
        if settings.targets():
            build_router(settings, prices)
    except ConfigError as error:
        problems = str(error).splitlines()
        if arguments.json:
            print(json_line({"usable": False, "errors": problems}))
        for problem in problems:
            print(f"lynkr: {problem}", file=sys.stderr)
        return 1
    problems = [f"{n.key}: {n.message}" for n in notices if n.severity is Severity.PROBLEM]
    if arguments.json:
        print(json_line(_as_json(settings, notices, problems)))
    else:
        print(_as_text(settings, notices))
    for problem in problems:
        print(f"lynkr: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _as_json(settings: Settings, notices: tuple[Notice, ...], problems: list[str]) -> Mapping[str, Any]:
    return {
        "usable": not problems,
        "errors": problems,
        "file": None if settings.source is None else str(settings.source),
        "tiers": {tier.name: list(map(str, settings.tiers.get(tier, ()))) for tier in Tier},
        "default": None if settings.default is None else str(settings.default),
        "aliases": {name: str(target) for name, target in settings.aliases.items()},
        "providers": {
            name: {
                "kind": provider.kind,
                "address": _address(provider),
                "has_key": provider.api_key is not None,
                "local": provider.local,
            }
            for name, provider in settings.providers.items()
        },
        "routing": _rules_json(settings.routing),
        "tenants": {
            name: {**_rules_json(tenant), **_limits_json(tenant)} for name, tenant in settings.tenants.items()
        },
        "sessions": {
            "path": None if settings.sessions.path is None else str(settings.sessions.path),
            "ttl": settings.sessions.ttl,
            "most": settings.sessions.most,
            "margin": settings.sessions.margin,
        },
        "exploration": {"share": settings.exploration.share},
        "server": {"host": settings.server.host, "port": settings.server.port},
        "notices": [{"severity": n.severity.value, "key": n.key, "message": n.message} for n in notices],
    }


def _as_text(settings: Settings, notices: tuple[Notice, ...]) -> str:
    source = "the environment alone" if settings.source is None else str(settings.source)
    rows = [(tier.name, ", ".join(map(str, settings.tiers.get(tier, ()))) or "–") for tier in Tier]
    rows.append(("default", "–" if settings.default is None else str(settings.default)))
    rows += [(f"alias {name}", str(target)) for name, target in settings.aliases.items()]
    blocks = [f"settings from {source}", table(("tier", "targets"), rows)]
    if settings.providers:
        providers = [
            (name, provider.kind, _address(provider), _key_state(provider))
            for name, provider in settings.providers.items()
        ]
        blocks.append(table(("provider", "kind", "address", "key"), providers))
    blocks.append(table(("policy", "is"), _policy_rows(settings)))
    told = [str(notice) for notice in notices if notice.severity is not Severity.PROBLEM]
    if told:
        blocks.append("\n".join(told))
    return "\n\n".join(blocks)


def _policy_rows(settings: Settings) -> list[tuple[str, str]]:
    """A line for each table that says how requests are routed."""
    sessions, share = settings.sessions, settings.exploration.share
    where = "in memory" if sessions.path is None else f"in {sessions.path}"
    kept = f"pins {where}, {sessions.ttl:g} s, at most {sessions.most}; margin {sessions.margin:g}"
    rows = [("routing", _rules_text(settings.routing)), ("sessions", kept)]
    rows.append(("exploration", f"{share:.1%} of new sessions" if share else "off"))
    return rows + [
        (f"tenant {name}", f"{_rules_text(tenant)}; {_limits_text(tenant)}")
        for name, tenant in settings.tenants.items()
    ]


def _limits_json(tenant: TenantSettings) -> Mapping[str, Any]:
    return {
        "keys": len(tenant.key_digests),
        "requests_per_minute": tenant.requests_per_minute,
        "tokens_per_minute": tenant.tokens_per_minute,
        "budget_usd_per_day": tenant.budget_usd_per_day,
        "budget_usd_per_month": tenant.budget_usd_per_month,
    }


def _limits_text(tenant: TenantSettings) -> str:
    limits = _limits_json(tenant)
    keys = limits["keys"]
    told = [f"{keys or 'no'} key{'' if keys == 1 else 's'}"]
    told += [
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in limits.items()
        if name != "keys" and value is not None
    ]
    return "; ".join(told)


def _rules_text(rules: RoutingSettings | TenantSettings) -> str:
    told = [] if rules.allowed is None else [f"allowed {', '.join(rules.allowed) or 'nothing'}"]
    told += [f"blocked {', '.join(rules.blocked)}"] if rules.blocked else []
    if rules.request_budget_usd is not None:
        told.append(f"at most {rules.request_budget_usd:g} USD a request")
    if rules.deadline is not None:
        told.append(f"answers begin within {rules.deadline:g} s")
    return "; ".join(told) or "no limits"


def _rules_json(rules: RoutingSettings | TenantSettings) -> Mapping[str, Any]:
    return {
        "allowed": None if rules.allowed is None else list(rules.allowed),
        "blocked": list(rules.blocked),
        "request_budget_usd": rules.request_budget_usd,
        "deadline": rules.deadline,
    }


def _address(provider: ProviderSettings) -> str:
    return provider.base_url or HOSTS[provider.kind].base_url or "–"


def _key_state(provider: ProviderSettings) -> str:
    if provider.api_key is not None:
        return f"set ({provider.api_key_env})" if provider.api_key_env else "set"
    return "not needed" if HOSTS[provider.kind].is_local or provider.local else "missing"

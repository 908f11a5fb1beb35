"""What valid settings still lack: the reference's provider warnings, and a few more."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from lynkr.pricing.price import PriceTable
from lynkr.providers.builtin import HOSTS
from lynkr.routing.constraints import matches
from lynkr.routing.decision import Target, Tier
from lynkr.settings.problems import KeyPath, key_text
from lynkr.settings.tree import (
    Notice,
    ProviderSettings,
    RoutingSettings,
    Settings,
    Severity,
    TenantSettings,
)


def notices_of(settings: Settings, prices: PriceTable | None) -> tuple[Notice, ...]:
    """Everything worth telling, problems first.

    *prices* answers whether a target's cost will be known; without it that is not looked at.
    """
    found = [*_tiers(settings), *_providers(settings), *_permissions(settings), *settings.ignored]
    found += _exploration(settings)
    found += _tenants(settings)
    if prices is not None:
        found += _prices(settings, prices)
    rank = list(Severity)
    return tuple(sorted(found, key=lambda notice: rank.index(notice.severity)))


def _tenants(settings: Settings) -> Iterator[Notice]:
    for name, tenant in settings.tenants.items():
        key = key_text(("tenants", name))
        if settings.asks_for_keys and not tenant.key_digests:
            advice = "has no key, so no client of the server's can be it; set api_key_hashes (`lynkr key`)"
            yield Notice(Severity.WARNING, key, advice)
        has_budget = tenant.budget_usd_per_day is not None or tenant.budget_usd_per_month is not None
        if has_budget and settings.telemetry.file is None:
            advice = (
                "has a budget that begins anew with each start: the ledger is in memory; set telemetry.path"
            )
            yield Notice(Severity.WARNING, key, advice)


def lacks_credentials(provider: ProviderSettings) -> bool:
    """Whether requests to it will be refused: the kind's own host wants a key and there is none."""
    host = HOSTS[provider.kind]
    keyless = host.is_local or host.finds_credentials
    return provider.api_key is None and provider.base_url is None and not keyless


def _tiers(settings: Settings) -> Iterator[Notice]:
    if not settings.tiers and settings.default is None:
        advice = "no target is configured; set TIER_SIMPLE=provider:model, or [tiers] in a settings file"
        yield Notice(Severity.PROBLEM, "tiers", advice)
        return
    if settings.tiers:
        missing = [tier for tier in Tier if not settings.tiers.get(tier)]
        for tier in missing:
            advice = f"has no target; its requests go to {_next(settings, tier)}"
            yield Notice(Severity.WARNING, key_text(("tiers", tier.name)), advice)


def _next(settings: Settings, tier: Tier) -> str:
    """Where requests of an empty tier go: the tiers above, then those below."""
    order = [above for above in Tier if above > tier] + [below for below in reversed(Tier) if below < tier]
    return next((f"{t.name} ({settings.tiers[t][0]})" for t in order if settings.tiers.get(t)), "the default")


def _users(settings: Settings, provider: str) -> list[str]:
    """The keys whose targets are *provider*'s."""
    users = [
        key_text(("tiers", tier.name))
        for tier, targets in sorted(settings.tiers.items())
        if any(target.provider == provider for target in targets)
    ]
    if settings.default is not None and settings.default.provider == provider:
        users.append("default")
    return users + [
        key_text(("aliases", name))
        for name, target in settings.aliases.items()
        if target.provider == provider
    ]


def _providers(settings: Settings) -> Iterator[Notice]:
    for name, provider in settings.providers.items():
        key = key_text(("providers", name))
        users = _users(settings, name)
        variable = provider.api_key_env
        if lacks_credentials(provider):
            severity = Severity.PROBLEM if users else Severity.WARNING
            advice = f"set {variable}" if variable else "set api_key_env to the variable that holds its key"
            named = f"{', '.join(users)} uses it" if len(users) == 1 else f"{', '.join(users)} use it"
            yield Notice(severity, key, f"has no API key ({named if users else 'nothing uses it'}); {advice}")
        elif provider.api_key is None and variable and name not in HOSTS:
            yield Notice(Severity.WARNING, key, f"{variable} is not set, so it is called without a key")
        if provider.local and not HOSTS[provider.kind].is_local:
            advice = "is taken to be the owner's own, so it costs nothing; set local = false if it charges"
            yield Notice(Severity.NOTE, key, advice)
        if not provider.local and urlsplit(provider.base_url or "").scheme == "http":
            advice = "prompts and key travel in clear text; use https, or local = true on a network of yours"
            yield Notice(Severity.WARNING, f"{key}.base_url", advice)


def _permissions(settings: Settings) -> Iterator[Notice]:
    """Rules that name no target, and rules that leave none."""
    targets = settings.targets()
    tables: dict[KeyPath, RoutingSettings | TenantSettings] = {("routing",): settings.routing}
    tables |= {("tenants", name): tenant for name, tenant in settings.tenants.items()}
    for key, rules in tables.items():
        for name, patterns in (("allowed", rules.allowed or ()), ("blocked", rules.blocked)):
            for pattern in patterns:
                if not any(matches(target, frozenset((pattern,))) for target in targets):
                    advice = f'names "{pattern}", which no tier, default or alias uses'
                    yield Notice(Severity.NOTE, key_text((*key, name)), advice)
        both = [settings.routing] if rules is settings.routing else [settings.routing, rules]
        if targets and not any(_may_serve(target, both) for target in targets):
            advice = "leaves no target, so every request is refused; allow one of those configured"
            is_for_all = rules is settings.routing
            yield Notice(Severity.PROBLEM if is_for_all else Severity.WARNING, key_text(key), advice)


def _may_serve(target: Target, tables: Sequence[RoutingSettings | TenantSettings]) -> bool:
    return not any(
        matches(target, frozenset(rules.blocked))
        or (rules.allowed is not None and not matches(target, frozenset(rules.allowed)))
        for rules in tables
    )


def _exploration(settings: Settings) -> Iterator[Notice]:
    share = settings.exploration.share
    if share:
        advice = f"{share:.1%} of new sessions begin with another target than the best; 0 turns it off"
        yield Notice(Severity.NOTE, "exploration.share", advice)


def _prices(settings: Settings, prices: PriceTable) -> Iterator[Notice]:
    budgets = [settings.routing.request_budget_usd]
    budgets += [tenant.request_budget_usd for tenant in settings.tenants.values()]
    unheld = " and no request_budget_usd holds it" if any(budgets) else ""
    for target in settings.targets():
        if prices.price(target) is None:
            yield _unpriced(target, f"its cost will be recorded as unknown{unheld}")
    if prices.price(settings.pricing.flagship) is None:
        yield Notice(
            Severity.WARNING,
            "pricing.flagship",
            f"{settings.pricing.flagship} has no known price, so no savings can be told",
        )


def _unpriced(target: Target, consequence: str) -> Notice:
    key = key_text(("pricing", "overrides", str(target)))
    return Notice(Severity.NOTE, str(target), f"has no known price, {consequence}; set [{key}]")

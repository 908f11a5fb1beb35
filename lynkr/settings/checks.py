"""What valid settings still lack: the reference's provider warnings, and a few more."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from lynkr.pricing.price import PriceTable
from lynkr.providers.builtin import HOSTS
from lynkr.routing.decision import Target, Tier
from lynkr.settings.problems import key_text
from lynkr.settings.tree import Notice, ProviderSettings, Settings, Severity


def notices_of(settings: Settings, prices: PriceTable | None) -> tuple[Notice, ...]:
    """Everything worth telling, problems first.

    *prices* answers whether a target's cost will be known; without it that is not looked at.
    """
    found = [*_tiers(settings), *_providers(settings), *settings.ignored]
    if prices is not None:
        found += _prices(settings, prices)
    rank = list(Severity)
    return tuple(sorted(found, key=lambda notice: rank.index(notice.severity)))


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


def _prices(settings: Settings, prices: PriceTable) -> Iterator[Notice]:
    for target in settings.targets():
        if prices.price(target) is None:
            yield _unpriced(target, "its cost will be recorded as unknown")
    if prices.price(settings.pricing.flagship) is None:
        yield Notice(
            Severity.WARNING,
            "pricing.flagship",
            f"{settings.pricing.flagship} has no known price, so no savings can be told",
        )


def _unpriced(target: Target, consequence: str) -> Notice:
    key = key_text(("pricing", "overrides", str(target)))
    return Notice(Severity.NOTE, str(target), f"has no known price, {consequence}; set [{key}]")

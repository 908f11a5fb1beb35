"""Settings -> gateway.  The one place that knows every part; each part knows only its own seam."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from lynkr.capability import profile_at
from lynkr.errors import ConfigError
from lynkr.gateway import Gateway
from lynkr.kept import Kept
from lynkr.layers import breaker, bulkhead, fallback, hedge, retry, throttle
from lynkr.layers.hedge import fixed_or_usual
from lynkr.limits import Limits, Period, Spent, TenantLimits, TenantRules
from lynkr.listing import ServedModel, ServedModels
from lynkr.metering import Meter, most_of
from lynkr.observation import build_observers, build_tracer
from lynkr.pricing import LOCAL_KINDS, SnapshotPrices, load_snapshot, rates_of
from lynkr.providers import Provider, Transport, builtin
from lynkr.providers.addresses import Reaching
from lynkr.request_bounds import RequestBounds
from lynkr.resilience import (
    BreakerConfig,
    BreakerRegistry,
    BudgetConfig,
    Bulkheads,
    ForcedBreakers,
    FullJitter,
    MemoryBreakers,
    Percentiles,
    RetryBudgets,
    Throttles,
)
from lynkr.routing import (
    Constraints,
    MemoryPins,
    PinStore,
    PipelineRouter,
    Profile,
    RequestContext,
    Target,
)
from lynkr.routing.constraints import ban_of, tightened
from lynkr.routing.protocols import TierPolicy
from lynkr.service import Call, Layer
from lynkr.settings import (
    ResilienceSettings,
    ResponsesSettings,
    RoutingSettings,
    SessionSettings,
    Settings,
    TenantSettings,
)
from lynkr.shared import Shared
from lynkr.stores import MemoryResponses, ResponseStore
from lynkr.telemetry import MemoryStore, Query, Recorder, RequestObserver, TelemetryStore
from lynkr.telemetry.observers import Watching
from lynkr.telemetry.sums import Dimension

_SECONDS_A_DAY: Final = 86_400.0
# Claude Code keeps only ids that hold "claude" or "anthropic" when it asks a gateway for its models.
_ROUTED_NAMES: Final = ("lynkr-auto", "claude-lynkr-auto")


def build_prices(settings: Settings) -> SnapshotPrices:
    """Prices and limits: the owner's over the snapshot's.

    Raises:
        ConfigError: `pricing.path` cannot be read or is no snapshot.
    """
    path = settings.pricing.path
    if path is None:
        snapshot = load_snapshot()
    else:
        try:
            snapshot = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"pricing.path: {path} is no price snapshot ({error}); run `lynkr prices refresh`"
            ) from error
    return SnapshotPrices(
        snapshot,
        settings.pricing.overrides,
        profiles=settings.profiles,
        kinds={name: _price_list(provider.kind) for name, provider in settings.providers.items()},
        free_providers=LOCAL_KINDS
        | {name for name, provider in settings.providers.items() if provider.local},
    )


def _price_list(kind: str) -> str | None:
    """The price list a kind bills by; None for a host that only speaks somebody's dialect."""
    return None if kind.endswith("-compatible") else kind.removesuffix("-responses")


def build_router(
    settings: Settings,
    prices: SnapshotPrices | None = None,
    providers: Sequence[Provider] = (),
    *,
    policy: TierPolicy | None = None,
) -> PipelineRouter:
    """The router alone: no I/O beyond the packaged price snapshot.

    *providers*, if there are any, tell which dialects their targets are reached in.  *policy*
    stands in for the shipped tier policy.
    """
    table = build_prices(settings) if prices is None else prices
    named = {provider.name: provider for provider in providers}

    def profile(target: Target) -> Profile:
        return profile_at(named, target, table.profile(target))

    return PipelineRouter(
        settings.tiers,
        default=settings.default,
        policy=policy,
        profiles=profile,
        margin=settings.sessions.margin,
        exploration=settings.exploration.share,
    )


def build_providers(settings: Settings, transport: Transport, prices: SnapshotPrices) -> tuple[Provider, ...]:
    """The configured providers, all over *transport*."""
    return tuple(
        builtin(
            name,
            provider.kind,
            key=provider.api_key,
            base_url=provider.base_url,
            cloud=provider.cloud,
            transport=Reaching(transport, provider.reach),
            timeouts=provider.timeouts,
            headers={header: value.reveal() for header, value in provider.headers.items()},
            betas=provider.betas,
            ask_usage=provider.ask_usage,
            profiles=prices.profile,
        )
        for name, provider in settings.providers.items()
    )


def build_breakers(settings: ResilienceSettings, clock: Callable[[], float] = time.time) -> BreakerRegistry:
    """Breakers of this process, or those several processes share through a file."""
    config = BreakerConfig(
        window=settings.breaker_window,
        min_calls=settings.breaker_min_calls,
        failure_ratio=settings.breaker_failure_ratio,
        slow_ratio=settings.breaker_slow_ratio,
        consecutive_failures=settings.breaker_failures,
        open_for=settings.breaker_open_for,
        longest_open=settings.breaker_longest_open,
        probes=settings.breaker_probes,
        slow_start=settings.breaker_slow_start,
    )
    breakers: BreakerRegistry
    if settings.breaker_path is None:
        breakers = MemoryBreakers(config)
    else:
        from lynkr.layers.sqlite_breakers import SqliteBreakers  # noqa: PLC0415  # reason: sqlite3 only if asked for

        breakers = SqliteBreakers(settings.breaker_path, config, stale=settings.breaker_stale)
    if not settings.breakers:
        return breakers
    forced = {str(target): state for target, state in settings.breakers.items()}
    return ForcedBreakers(breakers, forced, clock())


@frozen
class Protection:
    """What counts while the layers work; None where it is off."""

    budgets: RetryBudgets
    throttles: Throttles | None
    bulkheads: Bulkheads | None
    layers: tuple[Layer, ...]

    @property
    def refusals(self) -> Mapping[str, Callable[[], int]]:
        """How many attempts each part has refused."""
        throttles, bulkheads = self.throttles, self.bulkheads
        counts: dict[str, Callable[[], int]] = {"retry_budget": lambda: self.budgets.overflow}
        if throttles is not None:
            counts["throttle"] = lambda: throttles.refused
        if bulkheads is not None:
            counts["bulkhead"] = lambda: bulkheads.refused
        return counts


def build_protection(settings: Settings, breakers: BreakerRegistry, prices: SnapshotPrices) -> Protection:
    """The layers around every call, by the owner's numbers; what is off is not among them."""
    chosen = settings.resilience
    policy = FullJitter(
        base=chosen.base_delay,
        cap=chosen.max_delay,
        max_attempts=chosen.max_attempts,
        longest_hint=chosen.longest_wait,
    )
    budgets = RetryBudgets(
        BudgetConfig(ratio=chosen.budget_ratio, reserve=chosen.budget_reserve, ttl=chosen.budget_ttl)
    )
    throttles = Throttles() if chosen.throttle else None
    limits = {
        name: provider.max_in_flight
        for name, provider in settings.providers.items()
        if provider.max_in_flight is not None
    }
    bulkheads = Bulkheads(limits) if limits else None
    layers = (
        fallback(max_attempts=chosen.max_attempts, budgets=budgets),
        retry(policy, max_attempts=chosen.max_attempts, budgets=budgets),
        *((_hedge(chosen, budgets, prices),) if chosen.hedge else ()),
        breaker(breakers, slow_after=chosen.breaker_slow_after),
        *(() if throttles is None else (throttle(throttles),)),
        *(() if bulkheads is None else (bulkhead(bulkheads),)),
    )
    return Protection(budgets, throttles, bulkheads, layers)


def _hedge(chosen: ResilienceSettings, budgets: RetryBudgets, prices: SnapshotPrices) -> Layer:
    usual = Percentiles()
    cap = chosen.hedge_cost_cap_usd * 1e6

    def affordable(call: Call) -> bool:
        most = most_of(call.request, prices.price(call.target), prices.profile(call.target))
        return most is not None and most <= cap

    return hedge(
        fixed_or_usual(chosen.hedge_delay, usual),
        budgets=budgets,
        affordable=affordable,
        max_attempts=chosen.max_attempts,
        observe=lambda target, seconds: usual.observe(str(target), seconds),
    )


def build_pins(settings: SessionSettings) -> PinStore:
    """Pins of this process, or in a file that outlasts it."""
    if settings.path is None:
        return MemoryPins(settings.ttl, settings.most)
    from lynkr.layers.sqlite_pins import SqlitePins  # noqa: PLC0415  # reason: sqlite3 only if asked for

    return SqlitePins(settings.path, ttl=settings.ttl, most_sessions=settings.most)


def constraints_of(settings: Settings) -> Callable[[RequestContext], Constraints]:
    """What the sender of a request may use, spend and wait: the rules for all, and its tenant's."""
    everyone = _constraints(settings.routing)
    own = {name: tightened(everyone, _constraints(tenant)) for name, tenant in settings.tenants.items()}

    def constraints(context: RequestContext) -> Constraints:
        return everyone if context.tenant is None else own.get(context.tenant, everyone)

    return constraints


def _constraints(rules: RoutingSettings | TenantSettings) -> Constraints:
    budget = rules.request_budget_usd
    return Constraints(
        deadline_seconds=rules.deadline,
        budget_microusd=None if budget is None else budget * 1e6,
        allowed=None if rules.allowed is None else frozenset(rules.allowed),
        blocked=frozenset(rules.blocked),
    )


def build_recorder(settings: Settings, *, prunes: bool = True) -> Recorder:
    """The ledger and the thread that writes it; one that *prunes* forgets old records too."""
    telemetry = settings.telemetry
    store: TelemetryStore
    if telemetry.file is None:
        store = MemoryStore()
    else:
        from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only if asked for

        store = SQLiteStore(telemetry.file)
    keep = None if telemetry.retention_days is None else telemetry.retention_days * _SECONDS_A_DAY
    return Recorder(
        store,
        capacity=telemetry.queue_size,
        batch=telemetry.batch_size,
        keep=keep if prunes else None,
        most=telemetry.retention_rows if prunes else None,
    )


def build_meter(
    settings: Settings,
    prices: SnapshotPrices,
    store: TelemetryStore,
    *,
    before: Meter | None = None,
    file: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Meter:
    """What holds tenants to their limits; what they have spent is read from the ledger.

    *before* is the predecessor's, whose tenants go on with what they have used.  *file* is where several
    processes count together.
    """
    rules = {name: _tenant_rules(tenant) for name, tenant in settings.tenants.items()}
    now = clock()
    spent = _spent(store, now) if any(rule.counts_money for rule in rules.values()) else {}
    limits: Limits
    if before is not None:
        limits = before.limits.successor(rules, spent, now)
    elif file is None:
        limits = TenantLimits(rules, spent, now)
    else:
        from lynkr.layers.sqlite_limits import LimitsFile, SqliteLimits  # noqa: PLC0415  # reason: sqlite3 only if asked for

        limits = SqliteLimits(LimitsFile(file), rules, spent, now)
    return Meter(limits, prices, prices.profile, clock=clock)


def _tenant_rules(tenant: TenantSettings) -> TenantRules:
    day, month = tenant.budget_usd_per_day, tenant.budget_usd_per_month
    return TenantRules(
        tenant.requests_per_minute,
        tenant.tokens_per_minute,
        None if day is None else round(day * 1e6),
        None if month is None else round(month * 1e6),
    )


def _spent(store: TelemetryStore, now: float) -> dict[str, Spent]:
    """What the ledger says tenants have spent today and this month.

    Of requests whose cost is unknown, what is surely owed.
    """

    def since(period: Period) -> dict[str, int]:
        cells = store.cells(Query(since=period.began(now)), (Dimension.TENANT,))
        totals = ((cell[Dimension.TENANT], cell.sums) for cell in cells)
        return {
            str(name): sums.cost_microusd + sums.overhead_microusd + sums.least_microusd
            for name, sums in totals
            if name is not None
        }

    day = since(Period.DAY)
    return {name: Spent(day.get(name, 0), month) for name, month in since(Period.MONTH).items()}


def build_responses(settings: ResponsesSettings, file: Path | None = None) -> ResponseStore:
    """Where answers are kept for clients that go on from one; several processes share a *file*."""
    if file is not None:
        from lynkr.stores.sqlite_responses import SqliteResponses  # noqa: PLC0415  # reason: sqlite3 only if asked for

        return SqliteResponses(file, most=settings.most, max_bytes=settings.max_bytes, ttl=settings.ttl)
    return MemoryResponses(most=settings.most, max_bytes=settings.max_bytes, ttl=settings.ttl)


def build_gateway(
    settings: Settings,
    *,
    transport: Transport | None = None,
    observers: Sequence[RequestObserver] = (),
    kept: Kept = Kept(),  # noqa: B008  # reason: a frozen value
    shared: Shared | None = None,
) -> Gateway:
    """The gateway *settings* describe, which owns all it is made of.

    *observers* are shown every finished request, beside those the settings ask for.
    *kept* are a predecessor's parts to go on with; what it lacks is made anew.  *shared* makes it one of
    several workers that together behave as one.

    *transport* is httpx unless given (asyncio and trio); under asyncio alone
    `lynkr.providers.AiohttpTransport` is several times cheaper under load.

    Raises:
        ConfigError: a part cannot be made.
    """
    if transport is None:
        from lynkr.providers import HttpxTransport  # noqa: PLC0415  # reason: httpx only if asked for

        transport = HttpxTransport()
    prices = build_prices(settings)
    breakers = kept.breakers or build_breakers(settings.resilience)
    protection = build_protection(settings, breakers, prices)
    asked = build_observers(settings)
    providers = build_providers(settings, transport, prices)
    recorder = kept.recorder or build_recorder(settings, prunes=shared is None or shared.prunes)
    server = settings.server
    limits, answers = (None, None) if shared is None else (shared.limits, shared.responses)
    gateway = Gateway(
        router=build_router(settings, prices, providers),
        embedder=settings.embeddings,
        providers=providers,
        transports=(transport,),
        layers=protection.layers,
        refusals=protection.refusals,
        breakers=breakers,
        recorder=recorder,
        meter=None
        if not settings.tenants
        else build_meter(
            settings,
            prices,
            recorder.store,
            before=kept.meter,
            file=limits,
        ),
        bounds=RequestBounds(server.max_messages, server.max_tools, server.max_json_depth),
        prices=prices,
        flagship=settings.pricing.flagship,
        aliases=settings.aliases,
        responses=build_responses(settings.responses, answers) if kept.responses is None else kept.responses,
        total_timeout=settings.timeouts.total,
        record_text=settings.telemetry.record_text,
        pins=kept.pins or build_pins(settings.sessions),
        constraints=constraints_of(settings),
        rates=rates_of(prices, settings.targets()),
        observers=(*observers, *asked),
        tracer=build_tracer(settings),
        digest_key=None if shared is None else shared.digest_key,
    )
    for observer in asked:
        if isinstance(observer, Watching):
            observer.watch(gateway)
    return gateway


def still_good(kept: Kept, before: Settings, after: Settings) -> Kept:
    """Of *kept*, what was made by settings that have not changed."""
    return Kept(
        recorder=kept.recorder if before.telemetry == after.telemetry else None,
        breakers=kept.breakers if before.resilience == after.resilience else None,
        pins=kept.pins if before.sessions == after.sessions else None,
        responses=kept.responses if before.responses == after.responses else None,
        meter=kept.meter,
    )


def served_models(settings: Settings, prices: SnapshotPrices | None = None) -> ServedModels:
    """What each client may ask for, with its limits: the routed names, the aliases, each target.

    A name is left out for those who may use none of the targets it stands for.
    """
    table = build_prices(settings) if prices is None else prices
    rules = constraints_of(settings)
    return ServedModels(
        _models_under(rules(RequestContext()), settings, table),
        {
            name: _models_under(rules(RequestContext(tenant=name)), settings, table)
            for name in settings.tenants
        },
    )


def _models_under(rules: Constraints, settings: Settings, prices: SnapshotPrices) -> tuple[ServedModel, ...]:
    usable = [target for target in settings.targets() if ban_of(target, rules) is None]
    profiles = {target: prices.profile(target) for target in usable}
    # The default target serves only where no tier is set.
    tiered = {target for targets in settings.tiers.values() for target in targets}
    of_routed = [
        profile
        for target, profile in profiles.items()
        if (target in tiered if tiered else target == settings.default)
    ]
    return (
        *(ServedModel.of(name, of_routed) for name in _ROUTED_NAMES if of_routed),
        *(
            ServedModel.of(name, [profiles[target]])
            for name, target in settings.aliases.items()
            if target in profiles
        ),
        *(ServedModel.of(str(target), [profile]) for target, profile in profiles.items()),
    )

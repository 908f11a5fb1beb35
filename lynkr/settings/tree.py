"""The settings, as one tree of frozen values.

Reading them is `lynkr.settings.load`'s work; a program that wants no file and
no environment builds the tree itself, or ignores it and composes a `Gateway`
by hand.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from attrs import Attribute, evolve, field, frozen

from lynkr.pricing.price import Price
from lynkr.process import find_file, ledger_file, process_environment
from lynkr.providers.addresses import is_loopback
from lynkr.providers.base import Reach, Timeouts
from lynkr.providers.builtin import HOSTS
from lynkr.providers.setup import Cloud
from lynkr.request_bounds import DEFAULT_BOUNDS
from lynkr.resilience.protocols import BreakerState
from lynkr.routing.decision import Profile, Target, Tier
from lynkr.routing.pins import MOST_SESSIONS, TTL_SECONDS
from lynkr.secret import Secret
from lynkr.settings.problems import BadValueError, did_you_mean
from lynkr.settings.seed import UNSUPPORTED

if TYPE_CHECKING:
    from lynkr.pricing.price import PriceTable

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
MIB: Final = 1024 * 1024
ADMIN_KEY_LENGTH: Final = 16
"""Signs an admin key has at least: nobody guesses a random one of that length."""
IN_MEMORY: Final = Path(":memory:")
_TIMEOUTS: Final = Timeouts()
DEFAULT_FLAGSHIP: Final = Target("anthropic", "claude-opus-4-5")


def _empty() -> Mapping[Any, Any]:
    return MappingProxyType({})


def _positive(_: object, __: "Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        raise BadValueError("must be more than 0", "write a positive number")


def _none_or_more(_: object, __: "Attribute[Any]", value: int) -> None:
    if value < 0:
        raise BadValueError("is less than 0", "write a number from 0 (none)")


def _share(_: object, __: "Attribute[Any]", value: float) -> None:
    if not 0 < value <= 1:
        raise BadValueError("is not a share", "write a number above 0, up to 1")


def _not_negative(_: object, __: "Attribute[Any]", value: float) -> None:
    if not value >= 0:
        raise BadValueError("must not be negative", "write 0 or more")


def _probes(_: object, __: "Attribute[Any]", value: int) -> None:
    if not 1 <= value <= 3:
        raise BadValueError("is out of range", "write 1, 2 or 3")


def _kind(_: object, __: "Attribute[Any]", value: str) -> None:
    if value in UNSUPPORTED:
        raise BadValueError(f'is "{value}", which this version does not support', UNSUPPORTED[value])
    if value not in HOSTS:
        raise BadValueError(f'is "{value}", which is no built-in provider', did_you_mean(value, HOSTS))


def _pattern(_: object, __: "Attribute[Any]", patterns: tuple[str, ...] | None) -> None:
    for pattern in patterns or ():
        provider, colon, model = pattern.partition(":")
        if not (colon and provider.strip() and model.strip()) or "*" in provider + model.removesuffix("*"):
            raise BadValueError(
                f'holds "{pattern}", which names no target', 'write "provider:model", or "provider:*" for all'
            )
        if model.endswith("*") and model != "*":
            fix = f'write "{provider}:*", or each model by its name'
            raise BadValueError(f'holds "{pattern}", a model name with a wildcard', fix)


def _share_or_none(_: object, __: "Attribute[Any]", value: float) -> None:
    if not 0 <= value <= 1:
        raise BadValueError("is not a share", "write a number from 0 (never) to 1")


def _variable(_: object, __: "Attribute[Any]", value: str | None) -> None:
    """A key pasted in place of its variable's name would be shown wherever names are."""
    if value is not None and not _VARIABLE.fullmatch(value):
        fix = "put the key into an environment variable and write that variable's name here"
        raise BadValueError("is not the name of an environment variable", fix)


def _admin_key(_: object, __: "Attribute[Any]", value: Secret | None) -> None:
    if value and len(value.reveal()) < ADMIN_KEY_LENGTH:
        raise BadValueError(
            f"is shorter than {ADMIN_KEY_LENGTH} signs", "write what `openssl rand -hex 32` prints"
        )


def _depth(_: object, __: "Attribute[Any]", value: int) -> None:
    if not 10 <= value <= DEFAULT_BOUNDS.max_depth:
        raise BadValueError("is out of range", f"write a number from 10 to {DEFAULT_BOUNDS.max_depth}")


_HASH: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.ASCII)


def _hashes(_: object, __: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Not quoted: it may be a key that was put here in clear."""
    if not all(_HASH.fullmatch(text) for text in value):
        raise BadValueError("holds what is no SHA-256 hash", "write the hash that `lynkr key` prints")


def _port(_: object, __: "Attribute[Any]", value: int) -> None:
    if not 0 <= value <= 65_535:
        raise BadValueError("is not a port", "write a number from 1 to 65535, or 0 for any free port")


@frozen
class ProviderSettings:
    """A host that serves models.

    *kind* is a built-in provider's name and gives the dialect, the way to
    authenticate, the price list and the profile; ``openai-compatible`` and
    ``anthropic-compatible`` give the dialect alone.  *base_url* includes the version segment
    (``http://127.0.0.1:9000/v1``) and is None for the kind's own host.
    *api_key* is the key itself, already read from *api_key_env* where that
    names a variable that is set.  *headers* are sent with every request.
    *local* says that the host belongs to the owner's own machine or network:
    it costs nothing and clear text is expected.  So it is taken to be at a
    loopback address; set it to false where a loopback proxy forwards to a host
    that charges.  *private* says that its host may be at an address of the owner's
    network, or machine, which others may not (cloud metadata services never are);
    None is what *local* says, or true for a loopback address.  *max_in_flight*
    bounds the calls under way to it, None does not.  *region*, *project*,
    *api_version* and *profile* are for the clouds: see `lynkr.providers.Cloud`.
    *betas* are betas of Anthropic's dialect its host takes beside those known
    to; ``*`` is all.  *ask_usage* false leaves a Chat client's stream as it is
    that does not ask for usage.
    """

    kind: str = field(validator=_kind)
    base_url: str | None = None
    api_key: Secret | None = None
    api_key_env: str | None = field(default=None, validator=_variable)
    headers: Mapping[str, Secret] = field(factory=_empty, repr=False)
    local: bool = False
    private: bool | None = None
    timeouts: Timeouts = _TIMEOUTS
    max_in_flight: int | None = field(default=None, validator=_positive)
    region: str | None = None
    project: str | None = None
    api_version: str | None = None
    profile: str | None = None
    betas: tuple[str, ...] = ()
    ask_usage: bool = True

    @property
    def reach(self) -> Reach:
        """Where its host may be."""
        is_private = self.private
        if is_private is None:
            host = urlsplit(self.base_url or "").hostname or ""
            is_private = self.local or is_loopback(host) or (not host and HOSTS[self.kind].is_local)
        return Reach.PRIVATE if is_private else Reach.PUBLIC

    @property
    def cloud(self) -> Cloud:
        return Cloud(
            region=self.region, project=self.project, api_version=self.api_version, profile=self.profile
        )


@frozen
class ServerSettings:
    """Where the gateway listens and what it admits.

    *workers* are the processes that serve the port; several share breakers, pins, tenants' limits and
    the ledger, and each has its share of the bounds on requests at once.

    Any address but a loopback one needs an API key.  *api_key* and *api_keys*
    (several, to change them without a gap) are all accepted.  *admin_key* opens
    the dashboard and nothing else does; without it the dashboard is off.  *metrics_key*
    opens ``/metrics`` and nothing else does, unless *metrics_open* shows them to
    everyone who reaches a loopback address.  A body holds at most *max_messages* messages
    and *max_tools* tools, and JSON *max_json_depth* levels deep.  *max_in_flight* counts requests
    being read, or whose answer does not stream, and *max_streams* those that do;
    *max_queued* more wait for *queue_seconds* at most, all others are refused
    with 503.  A request that came through *max_hops* gateways is refused: one of
    them is its own upstream.  *drain_seconds* is how long
    SIGTERM waits for the requests under way, which it begins to do after *drain_delay_seconds* in
    which it serves on and says that it is not ready; *ping_seconds* the longest
    silence a streaming client sees.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8081, validator=_port)
    workers: int = field(default=1, validator=_positive)
    api_key: Secret | None = None
    api_key_env: str | None = field(default=None, validator=_variable)
    api_keys: tuple[Secret, ...] = ()
    metrics_key: Secret | None = None
    metrics_key_env: str | None = field(default=None, validator=_variable)
    metrics_open: bool = False
    admin_key: Secret | None = field(default=None, validator=_admin_key)
    admin_key_env: str | None = field(default=None, validator=_variable)
    max_body_bytes: int = field(default=32 * MIB, validator=_positive)
    max_header_bytes: int = field(default=64 * 1024, validator=_positive)
    max_messages: int = field(default=DEFAULT_BOUNDS.max_messages, validator=_positive)
    max_tools: int = field(default=DEFAULT_BOUNDS.max_tools, validator=_positive)
    max_json_depth: int = field(default=DEFAULT_BOUNDS.max_depth, validator=_depth)
    max_in_flight: int = field(default=1024, validator=_positive)
    max_streams: int = field(default=1024, validator=_positive)
    max_queued: int = field(default=256, validator=_not_negative)
    queue_seconds: float = field(default=5.0, validator=_positive)
    max_hops: int = field(default=4, validator=_positive)
    drain_seconds: float = 30.0
    drain_delay_seconds: float = field(default=0.0, validator=_not_negative)
    ping_seconds: float = field(default=15.0, validator=_positive)

    @property
    def accepted_keys(self) -> tuple[Secret, ...]:
        """Every key a client may present; empty when none is asked for."""
        first = () if self.api_key is None else (self.api_key,)
        return tuple(dict.fromkeys((*first, *self.api_keys)))

    @property
    def metrics_keys(self) -> tuple[Secret, ...]:
        """Every key that opens ``/metrics``."""
        return () if self.metrics_key is None else (self.metrics_key,)

    @property
    def shows_metrics(self) -> bool:
        """Whether anyone may read ``/metrics``."""
        return self.metrics_open or bool(self.metrics_keys)


@frozen
class ResilienceSettings:
    """How hard to try.

    *max_attempts* is per request, the first one, retries and fallbacks included;
    between two at one target lies a random delay of at most *base_delay* seconds,
    doubled each time up to *max_delay*, or what the provider asks for, if that is
    at most *longest_wait*.  Each attempt after the first costs a token of a budget
    per provider and tenant: a first attempt pays in *budget_ratio* of one, good
    for *budget_ttl* seconds, and *budget_reserve* are there to begin with.

    The breaker of a target or of a credential opens when *breaker_failure_ratio* of at
    least *breaker_min_calls* in the last *breaker_window* seconds failed, or
    *breaker_failures* in a row did, or when *breaker_slow_ratio* of them took
    *breaker_slow_after* seconds to their first token.  It stays open for
    *breaker_open_for* seconds, doubled up to *breaker_longest_open*, then lets
    *breaker_probes* calls through, and is back to its full load after
    *breaker_slow_start* seconds.  *breaker_path* is a SQLite file where several
    processes are to share the breakers; what one reads there it believes for
    *breaker_stale* seconds.  *breakers* forces states, by ``provider:model`` or
    ``provider:*``.

    *throttle* holds back from a credential that answers 429 or 529.  *hedge*
    sends a second attempt where the first has no token after *hedge_delay*
    seconds (None: after the target's 95th percentile), if its target has a known price
    and it cannot come to more than *hedge_cost_cap_usd*.
    """

    max_attempts: int = field(default=3, validator=_positive)
    base_delay: float = field(default=0.5, validator=_positive)
    max_delay: float = field(default=8.0, validator=_positive)
    longest_wait: float = field(default=60.0, validator=_not_negative)
    budget_ratio: float = field(default=0.2, validator=_share_or_none)
    budget_reserve: int = field(default=3, validator=_not_negative)
    budget_ttl: float = field(default=10.0, validator=_positive)
    breaker_window: float = field(default=60.0, validator=_positive)
    breaker_min_calls: int = field(default=10, validator=_positive)
    breaker_failure_ratio: float = field(default=0.5, validator=_share)
    breaker_failures: int = field(default=5, validator=_positive)
    breaker_slow_ratio: float = field(default=0.8, validator=_share)
    breaker_slow_after: float = field(default=30.0, validator=_positive)
    breaker_open_for: float = field(default=15.0, validator=_positive)
    breaker_longest_open: float = field(default=300.0, validator=_positive)
    breaker_probes: int = field(default=1, validator=_probes)
    breaker_slow_start: float = field(default=10.0, validator=_not_negative)
    breaker_path: Path | None = None
    breaker_stale: float = field(default=0.1, validator=_not_negative)
    breakers: Mapping[Target, BreakerState] = field(factory=_empty)
    throttle: bool = True
    hedge: bool = False
    hedge_delay: float | None = field(default=None, validator=_positive)
    hedge_cost_cap_usd: float = field(default=0.05, validator=_positive)


@frozen
class TelemetrySettings:
    """Where records go.

    *path* None or ``:memory:`` keeps them in memory; `Settings.for_serving`
    turns None into a file in the user's state directory.  *record_text* also
    stores prompts and answers.  *log_requests* writes a line of JSON per
    request to the log.  *queue_size* bounds the records waiting to be written
    (more are dropped and counted), *batch_size* those written in one
    transaction.  Records older than *retention_days* are deleted, and the oldest
    of more than *retention_rows*; None keeps them for ever.
    """

    path: Path | None = None
    record_text: bool = False
    log_requests: bool = False
    queue_size: int = field(default=10_000, validator=_positive)
    batch_size: int = field(default=200, validator=_positive)
    retention_days: float | None = field(default=90.0, validator=_positive)
    retention_rows: int | None = field(default=None, validator=_positive)

    @property
    def file(self) -> Path | None:
        """The ledger's file, None for one in memory."""
        return None if self.path in (None, IN_MEMORY) else self.path


@frozen
class OtelSettings:
    """Spans and metrics by OTLP over HTTP; *enabled* turns them on.

    *endpoint* is the collector's base URL, None for the one OpenTelemetry's own
    variables give (``OTEL_EXPORTER_OTLP_ENDPOINT``), else this machine's.
    *headers* are sent with each export.  *sample* is the share of traces kept
    of those that begin here.  *metrics_interval* is in seconds.  *accept*: a
    client's ``traceparent`` is taken; *propagate*: providers are sent one.
    *content* puts prompts and answers on spans, where *telemetry.record_text*
    is on as well.
    """

    enabled: bool = False
    endpoint: str | None = None
    headers: Mapping[str, Secret] = field(factory=_empty)
    service_name: str = "lynkr"
    traces: bool = True
    metrics: bool = True
    metrics_interval: float = field(default=60.0, validator=_positive)
    sample: float = field(default=1.0, validator=_share)
    accept: bool = True
    propagate: bool = True
    content: bool = False


@frozen
class PricingSettings:
    """What things cost.

    *flagship* is the model savings are measured against.  *overrides* stand
    above the snapshot.  *path* is a snapshot that ``lynkr prices refresh``
    wrote, None for the packaged one.
    """

    flagship: Target = DEFAULT_FLAGSHIP
    overrides: Mapping[Target, Price] = field(factory=_empty)
    path: Path | None = None


@frozen
class ResponsesSettings:
    """How many answers are kept for clients that go on from one (``previous_response_id``), and how long.

    At most *most* answers (0 keeps none) of together *max_bytes*, each for *ttl*
    seconds; what is not asked for longest goes first.
    """

    most: int = field(default=10_000, validator=_none_or_more)
    max_bytes: int = field(default=256 * MIB, validator=_positive)
    ttl: float = field(default=24 * 3600.0, validator=_positive)


@frozen
class RoutingSettings:
    """What every request may use, cost and take.

    *allowed* and *blocked* hold ``provider:model`` or ``provider:*``; None
    allows all, and a block stands above an allowance.  A target that is
    expected to charge more than *request_budget_usd* for one request is left out, and so
    is one that is not expected to begin its answer within *deadline* seconds
    (if none is, the fastest serves).  Targets that clients name themselves are
    held to the first three.
    """

    allowed: tuple[str, ...] | None = field(default=None, validator=_pattern)
    blocked: tuple[str, ...] = field(default=(), validator=_pattern)
    request_budget_usd: float | None = field(default=None, validator=_positive)
    deadline: float | None = field(default=None, validator=_positive)


@frozen
class TenantSettings:
    """One tenant: the keys its clients show, and what its requests may use, cost and take.

    *api_key* is a key itself, read from *api_key_env* where that names a variable
    that is set; *api_key_hashes* are SHA-256 hashes of keys (``lynkr key`` makes
    both), so that no key need stand in a file.  *allowed*, *blocked*, *request_budget_usd* and
    *deadline* hold beside what `RoutingSettings` says for all: the stricter of
    the two.  More than *requests_per_minute* or *tokens_per_minute* is refused
    with 429, and a request that may cost more than is left of *budget_usd_per_day* or
    *budget_usd_per_month* (UTC) with 402; None is no limit.
    """

    api_key: Secret | None = field(default=None, validator=_admin_key)
    api_key_env: str | None = field(default=None, validator=_variable)
    api_key_hashes: tuple[str, ...] = field(default=(), validator=_hashes)
    allowed: tuple[str, ...] | None = field(default=None, validator=_pattern)
    blocked: tuple[str, ...] = field(default=(), validator=_pattern)
    request_budget_usd: float | None = field(default=None, validator=_positive)
    deadline: float | None = field(default=None, validator=_positive)
    requests_per_minute: int | None = field(default=None, validator=_positive)
    tokens_per_minute: int | None = field(default=None, validator=_positive)
    budget_usd_per_day: float | None = field(default=None, validator=_positive)
    budget_usd_per_month: float | None = field(default=None, validator=_positive)

    @property
    def key_digests(self) -> tuple[bytes, ...]:
        """The SHA-256 digest of every key its clients may show."""
        hashes = tuple(bytes.fromhex(text.removeprefix("sha256:")) for text in self.api_key_hashes)
        own = () if not self.api_key else (sha256(self.api_key.reveal().encode()).digest(),)
        return tuple(dict.fromkeys((*own, *hashes)))


@frozen
class SessionSettings:
    """How sessions keep to their targets.

    *path* is a SQLite file in which pins outlast a restart and are shared by
    several processes; None keeps them in memory.  A pin unused for *ttl*
    seconds is forgotten, and so is the oldest beyond *most* of them.  A session moves to
    a cheaper target only where that saves more than the cold read and
    *margin*, a share of what staying costs.
    """

    path: Path | None = None
    ttl: float = field(default=TTL_SECONDS, validator=_positive)
    most: int = field(default=MOST_SESSIONS, validator=_positive)
    margin: float = field(default=0.1, validator=_share_or_none)


@frozen
class ExplorationSettings:
    """*share* of new sessions is begun with another target than the best, so that policies can be compared.

    0 is off: exploring costs answers and money.
    """

    share: float = field(default=0.0, validator=_share_or_none)


class Severity(StrEnum):
    PROBLEM = "problem"  # requests will fail
    WARNING = "warning"  # works, but probably not as meant
    NOTE = "note"


@frozen
class Notice:
    """Something the owner should know about settings that are valid."""

    severity: Severity
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity.value}: {self.key}: {self.message}"


@frozen
class Settings:
    """Everything the owner decides.

    *embeddings* is the target for embeddings whose client names none.
    *providers* holds those of the file, and the built-in ones that a target
    names or whose credentials stand in the environment.  *profiles* say what
    a target can do where the shipped data does not know it.  *tenants* are by the
    name the server knows a client's key by.  *source* is the
    file read, *ignored* what the reading itself found worth telling.
    """

    tiers: Mapping[Tier, tuple[Target, ...]] = field(factory=_empty)
    default: Target | None = None
    embeddings: Target | None = None
    providers: Mapping[str, ProviderSettings] = field(factory=_empty)
    aliases: Mapping[str, Target] = field(factory=_empty)
    profiles: Mapping[Target, Profile] = field(factory=_empty)
    server: ServerSettings = ServerSettings()
    timeouts: Timeouts = _TIMEOUTS
    resilience: ResilienceSettings = ResilienceSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    otel: OtelSettings = OtelSettings()
    pricing: PricingSettings = PricingSettings()
    routing: RoutingSettings = RoutingSettings()
    sessions: SessionSettings = SessionSettings()
    responses: ResponsesSettings = ResponsesSettings()
    exploration: ExplorationSettings = ExplorationSettings()
    tenants: Mapping[str, TenantSettings] = field(factory=_empty)
    source: Path | None = field(default=None, eq=False)
    ignored: tuple[Notice, ...] = field(default=(), eq=False, repr=False)

    @classmethod
    def load(
        cls,
        path: Path | None,
        environ: Mapping[str, str],
        *,
        overrides: Mapping[str, object] = MappingProxyType({}),
    ) -> Self:
        """Read the settings: *overrides* over *environ* over the file at *path* over defaults.

        *overrides* maps dotted keys (``server.port``) to values, as a command
        line gives them.

        Raises:
            ConfigError: one line per problem, each naming the key, where it was set, and the fix.
        """
        from lynkr.settings.load import load_settings  # noqa: PLC0415  # reason: cattrs only when a file is read

        return load_settings(cls, path, environ, overrides)

    @classmethod
    def from_process(
        cls, path: Path | None = None, *, overrides: Mapping[str, object] = MappingProxyType({})
    ) -> Self:
        """`load` with this process's environment; without *path*, from where `find_file` says.

        Raises:
            ConfigError: as `load`.
        """
        environ = process_environment()
        return cls.load(find_file(environ) if path is None else path, environ, overrides=overrides)

    def for_serving(self, environ: Mapping[str, str]) -> Self:
        """The same with the ledger in the user's state directory, unless *telemetry.path* was set.

        With several workers, breakers and pins are in files beside it, unless they have their own.

        Raises:
            ConfigError: several workers cannot share what these settings say.
        """
        from lynkr.settings.sharing import shared_settings  # noqa: PLC0415  # reason: it knows this tree

        if self.telemetry.path is not None:
            return shared_settings(self)
        return shared_settings(evolve(self, telemetry=evolve(self.telemetry, path=ledger_file(environ))))

    @property
    def asks_for_keys(self) -> bool:
        """Whether a client must show a key."""
        return bool(self.server.accepted_keys) or any(t.key_digests for t in self.tenants.values())

    def targets(self) -> tuple[Target, ...]:
        """Every target a request may be sent to, each once: tiers upwards, the default, aliases."""
        named = [target for tier in sorted(self.tiers) for target in self.tiers[tier]]
        if self.default is not None:
            named.append(self.default)
        return tuple(dict.fromkeys((*named, *self.aliases.values())))

    def warnings(self, prices: "PriceTable | None" = None) -> tuple[Notice, ...]:
        """What is lacking or odd, the gravest first; with *prices*, also what has no known price."""
        from lynkr.settings.checks import notices_of  # noqa: PLC0415  # reason: needed by `lynkr check` alone

        return notices_of(self, prices)

"""What a user says of a provider, for the kinds that are more than an address and a key."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from lynkr.providers.base import DEFAULT_TIMEOUTS, Timeouts, Transport
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.secret import Secret


@frozen(kw_only=True)
class Cloud:
    """Where in a cloud, and whose: each kind reads what it knows and has defaults for what is None.

    *region* is AWS' region or Google's location, *project* Google's project
    id, *api_version* Azure's date, *profile* a name in the AWS credentials file.
    """

    region: str | None = None
    project: str | None = None
    api_version: str | None = None
    profile: str | None = None


NO_CLOUD: Final = Cloud()


def _no_profile(_: Target) -> Profile:
    return UNKNOWN_PROFILE


@frozen(kw_only=True)
class Setup:
    """The arguments of `lynkr.providers.builtin`, for a `Host` that builds its provider itself.

    *headers* names are lower case.  *betas* are betas of Anthropic's dialect that
    the owner knows the host to take, beside those `lynkr.providers.betas` has.
    *ask_usage*: see `lynkr.providers.http_provider.HTTPProvider`.
    """

    name: str
    kind: str
    key: Secret | None = None
    base_url: str | None = None
    cloud: Cloud = NO_CLOUD
    transport: Transport = field(repr=False)
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    headers: Mapping[str, str] = field(factory=lambda: MappingProxyType({}), repr=False)
    betas: tuple[str, ...] = ()
    ask_usage: bool = True
    profiles: Callable[[Target], Profile] = field(default=_no_profile, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    owns_transport: bool = False

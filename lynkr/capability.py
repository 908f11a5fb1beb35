"""What the configured targets can be given; the last look at a plan before anything is sent."""

from collections.abc import Mapping

from attrs import evolve

from lynkr.errors import CapabilityError
from lynkr.exchange import Plan
from lynkr.model import Request
from lynkr.providers.base import Provider, formats_of
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.routing.media import lacking, media_in


def profile_at(providers: Mapping[str, Provider], target: Target, known: Profile | None = None) -> Profile:
    """What *target* can do: *known*, or what its provider says, with the dialects it is reached in."""
    provider = providers.get(target.provider)
    if provider is None:
        return UNKNOWN_PROFILE if known is None else known
    profile = provider.profile(target.model) if known is None else known
    if profile.formats is not None:
        return profile
    return evolve(profile, formats=formats_of(provider, target.model))


def able_plan(plan: Plan, request: Request, providers: Mapping[str, Provider]) -> Plan:
    """*plan* without the targets that would lose what goes in its own dialect or not at all.

    A router that knows its targets' dialects has left them out already; here fall those that
    a client names itself, and those of routers that do not know.

    Raises:
        CapabilityError: no target is left.
    """
    media = media_in(request)
    if not media:
        return plan
    able = tuple(target for target in plan.targets if lacking(profile_at(providers, target), media) is None)
    if not able:
        needs, named = " and ".join(map(str, media)), ", ".join(map(str, plan.targets))
        raise CapabilityError(f"{named} cannot serve this request: it needs {needs}")
    return plan if able == plan.targets else plan.only(able)

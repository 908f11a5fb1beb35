"""What the configured targets can be given; the last look at a plan before anything is sent."""

from collections.abc import Mapping

from attrs import evolve

from lynkr.errors import CapabilityError, PromptTooLong
from lynkr.exchange import Plan
from lynkr.model import Image, Request, ToolCall, ToolMode, ToolResult
from lynkr.providers.base import Provider, formats_of
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.routing.features import prompt_tokens
from lynkr.routing.media import answers_asked, lacking, media_in


def profile_at(providers: Mapping[str, Provider], target: Target, known: Profile | None = None) -> Profile:
    """What *target* can do: *known*, or what its provider says, with the dialects it is reached in."""
    provider = providers.get(target.provider)
    if provider is None:
        return UNKNOWN_PROFILE if known is None else known
    profile = provider.profile(target.model) if known is None else known
    if profile.formats is not None:
        return profile
    return evolve(profile, formats=formats_of(provider, target.model))


def refuse_answers_side_by_side(request: Request) -> None:
    """Events are those of one answer, so several cannot be told as events.

    Raises:
        CapabilityError: *request* asks for a stream of several.
    """
    if request.stream and answers_asked(request) is not None:
        raise CapabilityError("`n`: events tell one answer; ask for several without a stream")


def able_plan(plan: Plan, request: Request, providers: Mapping[str, Provider]) -> Plan:
    """*plan* without the targets that would lose what goes in its own dialect or not at all.

    A router that knows its targets' profiles has left out those that cannot serve the request;
    here fall the ones of routers that do not know, and a target that a client names itself is held
    to all of what its profile says it lacks.

    Raises:
        CapabilityError: no target is left; it says what was needed.
    """
    decision = plan.decision
    is_named = decision is None
    # Where the decision was drawn from features, these have been looked for already.
    features = None if decision is None else decision.features
    media = media_in(request) if features is None else features.media
    if not media and not is_named:
        return plan
    able: list[Target] = []
    needs: list[str] = []
    for target in plan.targets:
        profile = profile_at(providers, target)
        lacked = lacking(profile, media)
        unmet = str(lacked) if lacked is not None else _unmet(profile, request) if is_named else None
        if unmet is None:
            able.append(target)
        else:
            needs.append(unmet)
    if not able:
        named = ", ".join(map(str, plan.targets))
        needed = " and ".join(dict.fromkeys([*map(str, media), *needs]))
        raise CapabilityError(f"{named} cannot serve this request: it needs {needed}")
    return plan if len(able) == len(plan.targets) else plan.only(tuple(able))


def refuse_overlong(target: Target, request: Request, providers: Mapping[str, Provider]) -> None:
    """As the router does for its own targets, for one that a client names itself.

    Raises:
        PromptTooLong: *request* cannot fit *target*'s context window, however its text is cut into tokens.
    """
    window = profile_at(providers, target).context_window
    if window is None:
        return
    tokens, least = prompt_tokens(request)
    if least >= window:
        raise PromptTooLong(tokens, window, str(target))


def _unmet(profile: Profile, request: Request) -> str | None:
    """What *request* needs and a target of *profile* is known to lack."""
    if profile.tools is False and _uses_tools(request):
        return "tools"
    if profile.structured_output is False and request.output_format is not None:
        return "structured output"
    if profile.vision is False and _shows_images(request):
        return "vision"
    return None


def _uses_tools(request: Request) -> bool:
    choice = request.tool_choice
    if request.tools and (choice is None or choice.mode is not ToolMode.NONE):
        return True
    return any(
        isinstance(part, ToolCall | ToolResult) for message in request.messages for part in message.parts
    )


def _shows_images(request: Request) -> bool:
    parts = (part for message in request.messages for part in message.parts)
    return any(
        isinstance(part, Image)
        or (isinstance(part, ToolResult) and any(isinstance(inner, Image) for inner in part.content))
        for part in parts
    )

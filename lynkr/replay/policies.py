"""The policy that ``module:factory`` names."""

from collections.abc import Callable
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, cast

from lynkr.errors import ConfigError
from lynkr.routing.protocols import Redecides


def load_policy(name: str, *arguments: object) -> Redecides:
    """Import ``module:factory`` and make its router.

    The factory is a router itself, or is called: with *arguments* if it takes
    any, else with none.  A router is anything with ``decide(features, snapshot)``;
    a `PipelineRouter` is one.

    Raises:
        ConfigError: there is no such module or name, or it makes no router.
    """
    module_name, colon, path = name.partition(":")
    if not (colon and module_name and path):
        raise ConfigError(f"{name!r} is not module:factory, such as my_policies:make_router")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"{module_name}: cannot be imported ({error}); run it from its directory, or install it"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{name}: {module_name} has no {part!r}")
        found = getattr(found, part)
    if callable(found) and (isinstance(found, type) or not hasattr(found, "decide")):
        found = found(*arguments) if _takes_any(found) else found()
    if not callable(getattr(found, "decide", None)):
        raise ConfigError(
            f"{name} gives a {type(found).__name__}, which has no decide(features, snapshot): a replay has "
            "no requests, only what was recorded of them. A PipelineRouter has it"
        )
    return cast("Redecides", found)


def _takes_any(factory: Callable[..., object]) -> bool:
    """Whether the first argument can be given by position and has no default."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = signature(factory).parameters.values()
    except ValueError:  # a builtin that does not tell
        return False
    return any(one.kind in kinds and one.default is Parameter.empty for one in parameters)

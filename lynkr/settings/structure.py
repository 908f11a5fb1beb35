"""From the raw tree to the typed one, with every problem found on the way."""

import operator
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from lynkr.pricing.price import Price
from lynkr.providers.base import Timeouts
from lynkr.providers.builtin import HOSTS
from lynkr.resilience.protocols import BreakerState
from lynkr.routing.decision import Target, Tier
from lynkr.secret import Secret
from lynkr.settings import values
from lynkr.settings.problems import BadValueError, KeyPath, Problem, did_you_mean
from lynkr.settings.sources import RawTree, known_keys
from lynkr.settings.tree import Settings

_SettingsT = TypeVar("_SettingsT", bound=Settings)
_Hook: TypeAlias = Callable[[Any, Any], Any]
_HIDDEN: Final = ("source", "ignored")
_MISSING: Final = MappingProxyType({"kind": f'write kind = "..." with one of {", ".join(sorted(HOSTS))}'})

_READERS: Final[tuple[tuple[Any, _Hook], ...]] = (
    (str, values.read_text),
    (Secret, values.read_secret),
    (tuple[Secret, ...], values.read_secrets),
    (bool, values.read_bool),
    (bool | None, values.read_optional_bool),
    (int, values.read_int),
    (float, values.read_float),
    (float | None, values.read_optional_float),
    (int | None, values.read_optional_int),
    (Decimal, values.read_decimal),
    (Path, values.read_path),
    (Tier, values.read_tier),
    (Target, values.read_target),
    (BreakerState, values.read_forced_state),
    (tuple[Target, ...], values.read_targets),
    (tuple[str, ...], values.read_texts),
    (tuple[str, ...] | None, values.read_optional_texts),
)


def structure(cls: type[_SettingsT], tree: RawTree) -> tuple[_SettingsT, list[Problem]]:
    """The settings in *tree*; with a problem they are the defaults, not to be used."""
    try:
        return _converter().structure(tree.value, cls), []
    except BaseValidationError as error:
        faults = _faults(error, ())
        return cls(), [Problem(key, tree.origin(key), message, fix) for key, message, fix in faults]


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_structure_hook_factory(_is_mapping, _mapping_hook)
    for kind, reader in _READERS:
        if isinstance(kind, type) and not get_origin(kind):
            converter.register_structure_hook(kind, reader)
        else:
            converter.register_structure_hook_func(partial(operator.eq, kind), reader)
    return converter


def _is_mapping(kind: object) -> bool:
    return get_origin(kind) is Mapping


def _mapping_hook(kind: object, converter: Converter) -> _Hook:
    """A read-only mapping, its keys and values structured, every fault kept."""
    key_type, value_type = get_args(kind)

    def hook(value: object, _: object) -> Mapping[object, object]:
        structured: dict[object, object] = {}
        faults: list[Exception] = []
        for name, item in values.require_table(value).items():
            note = IterableValidationNote(f"at {name!r}", name, kind)
            read_value = partial(_read, converter, item, value_type)
            read_key = partial(_read, converter, name, key_type)
            structured[_collect(faults, note, read_key)] = _collect(faults, note, read_value)
        if faults:
            raise IterableValidationError("while structuring a table", faults, Mapping)  # pyright: ignore[reportCallIssue]  # cattrs adds the class in __new__, ExceptionGroup has its own
        return MappingProxyType(structured)

    return hook


def _read(converter: Converter, value: object, kind: Any) -> object:  # noqa: ANN401  # reason: a type form
    read: object = converter.structure(value, kind)
    return read


def _collect(faults: list[Exception], note: str, read: Callable[[], object]) -> object:
    try:
        return read()
    except (BadValueError, BaseValidationError) as fault:
        fault.add_note(note)
        faults.append(fault)
        return None


def _class_hook(cls: type[Any], converter: Converter) -> _Hook:
    """What cattrs does for *cls*, behind a check that a table was given; validators run with their key."""
    overrides = {name: override(omit=True) for name in _HIDDEN if issubclass(cls, Settings)}
    if cls is Price:
        overrides["tiers"] = override(struct_hook=_price_tiers(converter))
    for attribute in attrs.fields(cls):
        if attribute.name in overrides:
            continue
        check = attribute.validator or (_positive_timeout if cls is Timeouts else None)
        if check is not None:
            overrides[attribute.name] = override(struct_hook=_checked(attribute, check, converter))
    inner: _Hook = make_dict_structure_fn(cls, converter, **overrides)  # type: ignore[arg-type]  # reason: the overrides' names are the class's own, none of the options'

    def hook(value: object, kind: object) -> object:
        return inner(values.require_table(value), kind)

    return hook


def _checked(attribute: "attrs.Attribute[Any]", check: Callable[..., Any], converter: Converter) -> _Hook:
    def hook(value: object, kind: Any) -> object:  # noqa: ANN401  # reason: a type form
        read = _read(converter, value, kind)
        check(None, attribute, read)
        return read

    return hook


def _price_tiers(converter: Converter) -> _Hook:
    """Long-context prices as the shipped snapshot writes them: ``[{above = 200000, input = 6, ...}]``."""

    def hook(value: object, _: object) -> tuple[tuple[int, Price], ...]:
        items = values.as_list(value)
        if items is None:
            raise BadValueError("is not a list", "write [{above = 200000, input = 6, output = 22.5}]")
        tiers: list[tuple[int, Price]] = []
        for item in items:
            table = dict(values.require_table(item))
            above = values.read_int(table.pop("above", None))
            tiers.append((above, converter.structure(table, Price)))
        return tuple(tiers)

    return hook


def _positive_timeout(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        fix = (
            'write a number of seconds, or "none" for no limit'
            if attribute.name == "total"
            else "write seconds"
        )
        raise BadValueError("must be more than 0", fix)


def _faults(error: BaseException, key: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    """Every leaf of cattrs' tree of errors: its key, what is wrong, the fix."""
    match error:
        case BaseValidationError():
            for fault in error.exceptions:
                yield from _faults(fault, (*key, *_step(fault)))
        case ForbiddenExtraKeysError():
            known = known_keys(error.cl)
            for name in sorted(error.extra_fields):
                yield (*key, name), "is not a known key", did_you_mean(name, known)
        case BadValueError():
            yield key, error.message, error.fix
        case KeyError():
            fix = _MISSING.get(key[-1], "add it")
            yield key, "is missing", fix
        case ValueError():  # a class of another room refused the values together
            yield key, f"is not valid ({error})", "correct it"
        case _:  # a type without a reader, which the tests rule out
            raise error


def _step(fault: BaseException) -> KeyPath:
    for note in getattr(fault, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (str(note.index),)
    return ()

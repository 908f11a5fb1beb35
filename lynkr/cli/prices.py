"""``lynkr prices``: the snapshot of prices and limits, and a newer one."""

import argparse
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lynkr.assembly import build_prices
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.refresh_prices import PriceList, refresh
from lynkr.cli.text import json_line, table
from lynkr.errors import ConfigError
from lynkr.pricing import Price, SnapshotPrices, load_snapshot
from lynkr.routing.decision import Target
from lynkr.settings import Settings, prices_file, process_environment

# Where the two lists are kept (read 2026-11); both projects are MIT.
LITELLM: Final = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
GENAI_PRICES: Final = "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/data.json"
_TIMEOUT: Final = 60.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_HEADER: Final = ("model", "input", "output", "cache read", "cache write", "context")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr prices show`` and ``lynkr prices refresh``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print prices in USD per million tokens, and where they are from")
    show.add_argument("model", nargs="?", help="provider:model, or a part of a model's name")
    add_config(show)
    add_json(show, "the prices")
    renew = actions.add_parser(
        "refresh", help="make a new snapshot from LiteLLM's and genai-prices' published lists"
    )
    renew.add_argument("--litellm", metavar="FILE_OR_URL", default=LITELLM, help="default: its repository")
    renew.add_argument(
        "--genai-prices", metavar="FILE_OR_URL", default=GENAI_PRICES, help="default: its repository"
    )
    renew.add_argument("--only", choices=("litellm", "genai-prices"), help="read one list, keep the rest")
    renew.add_argument(
        "--out", type=Path, metavar="FILE", help="default: pricing.path, else the state directory"
    )
    add_config(renew)


def run(arguments: argparse.Namespace) -> int:
    """Print or renew.

    Raises:
        ConfigError: no such price, or a list cannot be had.
    """
    settings = read_settings(arguments)
    return _show(arguments, settings) if arguments.action == "show" else _refresh(arguments, settings)


def _show(arguments: argparse.Namespace, settings: Settings) -> int:
    prices = build_prices(settings)
    targets = list(_matching(settings, prices, arguments.model))
    if not targets:
        raise ConfigError(
            f'no price is known for "{arguments.model}"; set [pricing.overrides."provider:model"]'
        )
    if arguments.json:
        body = {str(target): _as_json(prices, target) for target in targets}
        print(json_line({"version": prices.version, "models": body}))
        return 0
    print(table(_HEADER, (_row(prices, target) for target in targets)))
    print(f"\nUSD per million tokens; snapshot {prices.version}")
    return 0


def _matching(settings: Settings, prices: SnapshotPrices, model: str | None) -> Iterator[Target]:
    """The targets to show: those configured, or those whose name holds *model*."""
    if model is None:
        yield from dict.fromkeys((*settings.targets(), settings.pricing.flagship))
        return
    if ":" in model:
        try:
            exact = Target.parse(model)
        except ValueError as error:
            raise ConfigError(f"{error}; write provider:model") from error
        if prices.price(exact) is not None:
            yield exact
            return
    known = [*settings.pricing.overrides, *_listed(load_snapshot())]
    yield from (target for target in dict.fromkeys(known) if model.lower() in str(target).lower())


def _listed(snapshot: Mapping[str, Any]) -> Iterator[Target]:
    for provider, models in snapshot["models"].items():
        yield from (Target(provider, name) for name, entry in models.items() if "input" in entry)


def _row(prices: SnapshotPrices, target: Target) -> tuple[str, ...]:
    price, window = prices.price(target), prices.profile(target).context_window
    figures = (None,) * 4 if price is None else _figures(price)
    return (
        str(target),
        *("unknown" if f is None else f"{f:f}" for f in figures),
        "–" if window is None else f"{window:,}",
    )


def _figures(price: Price) -> tuple[Any, ...]:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    return price.input, price.output, read, write


def _as_json(prices: SnapshotPrices, target: Target) -> dict[str, Any]:
    price, profile = prices.price(target), prices.profile(target)
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    figures = {name: getattr(price, name, None) for name in names}
    return {
        **{name: None if figure is None else str(figure) for name, figure in figures.items()},
        "context_window": profile.context_window,
        "max_output": profile.max_output,
    }


def _refresh(arguments: argparse.Namespace, settings: Settings) -> int:
    out: Path | None = arguments.out or settings.pricing.path or prices_file(process_environment())
    if out is None:
        raise ConfigError("there is no home directory to write the snapshot to; name a file with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    today = datetime.now(UTC).date().isoformat()
    with tempfile.TemporaryDirectory(prefix="lynkr-prices-") as folder:
        lists = {
            name.replace("-", "_"): PriceList(_local(source, Path(folder) / name), _release(source), today)
            for name, source in (("litellm", arguments.litellm), ("genai-prices", arguments.genai_prices))
            if arguments.only in (None, name)
        }
        snapshot = refresh(out, date=today, previous=load_snapshot(), **lists)
    models = sum(map(len, snapshot["models"].values()))
    print(f"wrote {models:,} models to {out}")
    if settings.pricing.path != out:
        print(f"to use it, set pricing.path (or LYNKR_PRICING_PATH) to {out}")
    return 0


def _release(source: str) -> str:
    """What to call the list's release: its branch, or the file it came from."""
    return "main" if _is_url(source) else Path(source).name


def _is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _local(source: str, path: Path) -> Path:
    """*source* as a file: itself, or downloaded to *path*."""
    if not _is_url(source):
        return Path(source)
    try:
        with urllib.request.urlopen(source, timeout=_TIMEOUT) as answer:  # noqa: S310  # reason: http(s) only, above
            data: bytes = answer.read(_MOST_BYTES + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(
            f"cannot fetch {source} ({reason}); download it and name the file instead"
        ) from error
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{source} is larger than {_MOST_BYTES // 2**20} MiB; that is no price list")
    path.write_bytes(data)
    return path

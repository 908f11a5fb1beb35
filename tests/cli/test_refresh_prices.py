"""Refreshing the prices: validated first, replaced in one step."""

import json
import stat
from pathlib import Path

import pytest

from lynkr.cli.refresh_prices import PriceList, refresh, spelled
from lynkr.errors import ConfigError
from lynkr.pricing import SnapshotPrices, load_snapshot
from lynkr.routing.decision import Target


def genai(folder: Path, price: float = 3) -> PriceList:
    path = folder / "data.json"
    model = {"id": "openai/gpt-4o", "prices": {"input_mtok": price, "output_mtok": 10}}
    path.write_text(json.dumps([{"id": "openrouter", "models": [model]}]))
    return PriceList(path, "0.2.3", "2026-11-23")


def test_the_packaged_file_is_spelled_as_a_refresh_spells_it() -> None:
    packaged = Path(__file__).parents[2] / "lynkr" / "pricing" / "prices.json"
    assert packaged.read_text(encoding="utf-8") == spelled(load_snapshot())


def test_a_refresh_replaces_what_its_lists_cover_and_keeps_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "prices.json"
    written = refresh(out, date="2026-11-24", genai_prices=genai(tmp_path), previous=load_snapshot())
    assert json.loads(out.read_text()) == written
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    old, new = SnapshotPrices(load_snapshot()), SnapshotPrices(written)
    router, claude = Target("openrouter", "openai/gpt-4o"), Target("anthropic", "claude-opus-4-5")
    changed = new.price(router)
    assert changed is not None
    assert str(changed.input) == "3"
    assert new.price(claude) == old.price(claude)
    assert new.version.startswith("2026-11-24-")


@pytest.mark.parametrize("content", ["not json", "{}", "[]", '[{"id": "openrouter", "models": []}]'])
def test_a_malformed_download_changes_nothing(tmp_path: Path, content: str) -> None:
    out = tmp_path / "prices.json"
    out.write_text("as it was")
    listed = genai(tmp_path)
    listed.path.write_text(content)
    with pytest.raises(ConfigError):
        refresh(out, date="2026-11-24", genai_prices=listed)
    with pytest.raises(ConfigError):
        refresh(out, date="2026-11-24", litellm=listed)
    assert out.read_text() == "as it was"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.json", "prices.json"]


def test_a_snapshot_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "prices.json"
    out.mkdir()
    with pytest.raises(OSError, match="directory"):
        refresh(out, date="2026-11-24", genai_prices=genai(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.json", "prices.json"]


def test_a_missing_list_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        refresh(tmp_path / "out", date="2026-11-24", litellm=PriceList(tmp_path / "none", "1", "2026-11-24"))
    with pytest.raises(ConfigError, match="no price list"):
        refresh(tmp_path / "out", date="2026-11-24")

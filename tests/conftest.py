"""Shared fixtures: both event loops, Hypothesis profiles (``--hypothesis-profile=deep`` for the deep one)."""

import pytest
from hypothesis import HealthCheck, settings

_RELAXED = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "quick", max_examples=50, deadline=None, suppress_health_check=_RELAXED, derandomize=True
)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=_RELAXED)
settings.load_profile("quick")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Library code runs on both loops, so its tests do."""
    return str(request.param)


@pytest.fixture
def unmeasured_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are not measured: coverage would load what a test says is not loaded."""
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)

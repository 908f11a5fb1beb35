"""SIGHUP: new settings serve from the next request on, old ones until the last; wrong ones never do."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from lynkr.telemetry import Query, SQLiteStore
from lynkr.testing import Simulator, drip, script
from tests.gateway.house import EASY
from tests.server.running import Upstream, eventually, message, upstream
from tests.server.test_process import Process, configuration, start, streaming

__all__ = ["start"]
CHAT = "/v1/chat/completions"


@pytest.fixture
def below() -> Iterator[Upstream]:
    with upstream(Simulator({"slow": script(then=drip(0.1))})) as running:
        yield running


def state(process: Process) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{process.url}/health/ready").json()["configuration"]
    return found


def served_by(process: Process, **headers: str) -> str:
    answer = httpx.post(f"{process.url}{CHAT}", json=message(EASY), headers=headers)
    return answer.headers.get("x-lynkr-model") or str(answer.status_code)


def hang_up(process: Process, *, done: int, failed: int) -> None:
    process.popen.send_signal(signal.SIGHUP)
    eventually(lambda: (state(process)["reloads"], state(process)["failed_reloads"]) == (done, failed))


def rewrite(folder: Path, below: Upstream, simple: str, server: str = "") -> None:
    path = configuration(folder, below.url, server)
    path.write_text(path.read_text().replace('SIMPLE = ["chat:m"]', f'SIMPLE = ["{simple}"]'))


def test_new_settings_serve_the_next_request_and_the_old_ones_what_is_under_way(
    start: Callable[..., Process], tmp_path: Path, below: Upstream
) -> None:
    process = start()
    assert served_by(process) == "m"
    with streaming(process, CHAT, message(EASY, "chat:slow", stream=True)) as rest:
        rewrite(tmp_path, below, "chat:new", 'api_key = "a-key-that-is-new"')
        hang_up(process, done=1, failed=0)
        assert served_by(process) == "401", "the new key is asked for at once"
        assert served_by(process, authorization="Bearer a-key-that-is-new") == "new"
        assert rest().endswith(b"data: [DONE]\n\n"), "the old gateway finished what it had begun"
    assert state(process) == {"reloads": 1, "failed_reloads": 0, "current": True}
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0
    with closing(SQLiteStore(process.ledger)) as store:
        models = {record.target.model for record in store.read(Query()) if record.target is not None}
    assert models == {"m", "slow", "new"}, "one ledger holds them all"


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        ("[tiers\n", "lynkr.toml"),
        ('[tiers]\nSIMPLE = "nowhere"\n', "tiers.SIMPLE"),
        ("[server]\nmax_body_bites = 3\n", "max_body_bites"),
    ],
)
def test_wrong_settings_change_nothing_and_are_told(
    start: Callable[..., Process], tmp_path: Path, below: Upstream, broken: str, cause: str
) -> None:
    process = start("metrics_open = true")
    (tmp_path / "lynkr.toml").write_text(broken)
    hang_up(process, done=0, failed=1)
    assert state(process)["current"] is False
    assert 'lynkr_refusals_total{cause="settings"} 1.0' in httpx.get(f"{process.url}/metrics").text
    assert served_by(process) == "m"
    rewrite(tmp_path, below, "chat:mended")
    hang_up(process, done=1, failed=1)
    assert state(process)["current"] is True
    assert served_by(process) == "mended"
    process.popen.send_signal(signal.SIGTERM)
    _, told = process.popen.communicate(timeout=20)
    assert "those before stay in force" in told
    assert cause in told


def test_many_reloads_under_load_lose_no_request(
    start: Callable[..., Process], tmp_path: Path, below: Upstream
) -> None:
    process = start()
    models: set[str] = set()
    until = time.monotonic() + 3
    done = 0
    while time.monotonic() < until:
        rewrite(tmp_path, below, f"chat:m{done}")
        process.popen.send_signal(signal.SIGHUP)
        done += 1
        for _ in range(5):
            models.add(served_by(process))
    assert all(model == "m" or model.startswith("m") for model in models)
    assert len(models) > 1
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0


BUDGET = """
        [pricing.overrides]
        "chat:m" = { input = 100.0, output = 100.0 }
        [tenants.acme]
        api_key = "a-key-of-acme-s-clients"
        budget_usd_per_day = 0.03
"""


def test_a_budget_keeps_what_was_spent_of_it_over_a_reload(
    start: Callable[..., Process], tmp_path: Path, below: Upstream
) -> None:
    process = start(BUDGET, LYNKR_PROVIDERS_CHAT_LOCAL="false")
    key = {"authorization": "Bearer a-key-of-acme-s-clients"}

    def status() -> int:
        return httpx.post(f"{process.url}{CHAT}", json=message(EASY, "chat:m"), headers=key).status_code

    def served() -> int:
        """How many requests are served until one is refused for money."""
        found = [status()]
        while found[-1] == 200 and len(found) < 100:
            found.append(status())
        assert found[-1] == 402
        return len(found) - 1

    before = served()
    assert before > 5
    rewrite(tmp_path, below, "chat:m", f"max_queued = 7\n{BUDGET}")
    hang_up(process, done=1, failed=0)
    assert status() == 402, "the new settings have the same budget, and it is spent"
    more = BUDGET.replace("0.03", "0.06")
    rewrite(tmp_path, below, "chat:m", more)
    hang_up(process, done=2, failed=0)
    assert before <= served() < 2 * before, "of twice the budget, what was spent is gone"

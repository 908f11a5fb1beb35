"""``lynkr demo``: the main job, end to end, in processes of its own."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lynkr.cli.demo import _configuration, send
from lynkr.cli.workload import ask, asks
from lynkr.model import WireFormat
from lynkr.routing import Tier
from lynkr.settings import Settings, process_environment
from lynkr.testing.children import Child, clean_environment
from lynkr.testing.llama import llama_is_installed

_COST = re.compile(r"cost +\$(\d+\.\d{6}), saved (-?)\$(\d+\.\d{6})")


def run_demo(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lynkr.cli", "demo", *words],
        # A key and a setting of the owner's, neither of which may have any effect.
        env=clean_environment(process_environment())
        | {"TMPDIR": str(tmp_path), "OPENAI_API_KEY": "k", "TIER_SIMPLE": "x"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_newcomer_sees_four_difficulties_routed_answered_and_booked(tmp_path):
    ran = run_demo(tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "a simulator" in ran.stdout
    blocks = re.findall(r"^ ?\d+  .*?(?=\n\n)", ran.stdout, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(asks()) >= 8
    tiers = [next(tier.name for tier in Tier if f"    {tier.name} " in block) for block in blocks]
    assert set(tiers) == {tier.name for tier in Tier}
    for block in blocks:
        assert all(f"    {word} " in block for word in ("why", "answer", "tokens", "cost"))
    assert any("Anthropic Messages, streaming" in block for block in blocks)
    assert any("OpenAI Chat, streaming" in block for block in blocks)
    assert sum("calls get_weather(" in block for block in blocks) == 2
    _the_total_is_the_sum_of_the_parts(ran.stdout, blocks)
    assert not list(tmp_path.glob("lynkr-demo-*"))


def _the_total_is_the_sum_of_the_parts(out: str, blocks: list[str]) -> None:
    costs = [found for block in blocks if (found := _COST.search(block))]
    cost = sum(float(found[1]) for found in costs)
    saved = sum(float(f"{found[2]}{found[3]}") for found in costs)
    total = next(line for line in out.splitlines() if line.startswith("total"))
    assert f"${cost:.6f}" in total
    assert f"${saved:.6f}" in total
    assert f"from the ledger ({len(blocks)} records)" in out


def test_an_interruption_leaves_no_process_behind(tmp_path):
    for how, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen(
            [sys.executable, "-u", "-m", "lynkr.cli", "demo"],
            env=clean_environment(process_environment()) | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                for line in process.stdout:
                    if line.startswith("gateway"):
                        break
                children = _children_of(process.pid)
                assert len(children) == 2
                process.send_signal(how)
                _, err = process.communicate(timeout=30)
                assert process.returncode == status
                assert "Traceback" not in err
                assert [child for child in children if Path(f"/proc/{child}").exists()] == []
                assert not list(tmp_path.glob("lynkr-demo-*"))
            finally:
                process.kill()


def _children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("needs /proc")
    return [int(child) for child in listed.read_text().split()]


def test_its_settings_file_is_valid_and_prices_every_tier(tmp_path):
    path = tmp_path / "lynkr.toml"
    path.write_text(
        _configuration("http://127.0.0.1:1", tmp_path / 'a "quoted" ledger.db', None), encoding="utf-8"
    )
    settings = Settings.load(path, {})
    assert set(settings.tiers) == set(Tier)
    assert not any(provider.local for provider in settings.providers.values())
    assert settings.telemetry.file == tmp_path / 'a "quoted" ledger.db'


def test_the_workload_holds_both_dialects_whole_and_streaming_and_a_tools_round_trip():
    kinds = {(item.format, bool(item.body["stream"])) for item in asks()}
    assert {dialect for dialect, _ in kinds} == {WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT}
    assert {stream for _, stream in kinds} == {True, False}
    with_tools = [item for item in asks() if "tools" in item.body]
    assert {item.format for item in with_tools} == {WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT}
    assert any("tool_result" in str(item.body["messages"]) for item in with_tools)


def test_a_refusal_is_an_answer_with_its_status():
    with Child("lynkr.testing.simulator", environ=clean_environment(process_environment())) as upstream:
        wrong = ask("hi", WireFormat.OPENAI_CHAT, messages_are="not")
        refused = send(upstream.url, type(wrong)(wrong.title, wrong.format, {"stream": False}))
    assert refused.status == 400
    assert refused.response is None
    assert refused.error


@pytest.mark.llama
@pytest.mark.skipif(not llama_is_installed(), reason="extra demo is not installed")
def test_a_real_model_can_stand_behind_simple(tmp_path):
    ran = run_demo(tmp_path, "--real")
    assert (ran.returncode, ran.stderr) == (0, "")
    simple = [block for block in ran.stdout.split("\n\n") if "    SIMPLE " in block]
    assert simple
    served = [block for block in simple if "smollm2:" in block]
    assert served
    assert all("cost       $0.000000" in block for block in served)
    assert "[lynkr simulator]" not in "".join(served)


def test_a_missing_extra_is_one_line(lynkr, monkeypatch):
    monkeypatch.setattr("lynkr.cli.demo.find_spec", lambda name: None if name == "uvicorn" else object())
    ran = lynkr("demo")
    assert ran.status == 2
    assert ran.err == "lynkr: uvicorn is not installed; run: pip install 'lynkr-router[server]'\n"


def test_real_without_its_extra_is_one_line(lynkr, monkeypatch):
    monkeypatch.setattr("lynkr.testing.llama.find_spec", lambda _: None)
    ran = lynkr("demo", "--real")
    assert ran.status == 2
    assert ran.err == "lynkr: xllamacpp not installed; run: pip install 'lynkr-router[demo]'\n"

"""``lynkr logs``: which requests are listed, and that every filter comes before the limit."""

import json
import time

import pytest

from lynkr.model import WireFormat
from lynkr.routing import Target, Tier
from lynkr.telemetry import Ending, Record, SQLiteStore

TARGETS = (Target("anthropic", "haiku"), Target("openai", "mini"), Target("openai", "large"))
NEWEST = 60


def made(number: int, now: float) -> Record:
    """The request that came so many minutes ago: a third failed; four tiers, three targets, five sessions."""
    failed = number % 3 == 0
    return Record(
        id=f"r{number:02}",
        at=now - 60 * number,
        client_format=WireFormat.OPENAI_CHAT,
        requested_model="auto",
        stream=False,
        ending=Ending.FAILED if failed else Ending.OK,
        status=502 if failed else 200,
        tier=list(Tier)[number % 4],
        reason="difficulty" if number % 2 else "risky_ask",
        target=TARGETS[number % len(TARGETS)],
        session=f"s{number % 5}",
        tenant="acme" if number % 7 == 0 else None,
    )


@pytest.fixture
def kept(tmp_path):
    """The records of the ledger, newest first."""
    path = tmp_path / ".local" / "state" / "lynkr" / "ledger.sqlite3"
    path.parent.mkdir(parents=True)
    now = time.time()
    records = [made(number, now) for number in range(1, NEWEST + 1)]
    store = SQLiteStore(path)
    store.write(records[::-1])
    store.close()
    return records


def listed(lynkr, *words):
    ran = lynkr("logs", "--json", *words)
    assert ran.status == 0, ran.err
    return [json.loads(line)["id"] for line in ran.out.splitlines()]


@pytest.mark.parametrize(
    ("words", "is_wanted"),
    [
        (("--provider", "openai"), lambda one: one.target.provider == "openai"),
        (("--model", "large"), lambda one: one.target.model == "large"),
        (("--tier", "REASONING"), lambda one: one.tier is Tier.REASONING),
        (("--session", "s3"), lambda one: one.session == "s3"),
        (("--tenant", "acme"), lambda one: one.tenant == "acme"),
        (("--reason", "risky_ask"), lambda one: one.reason == "risky_ask"),
        (("--errors",), lambda one: one.ending is Ending.FAILED),
        (
            ("--errors", "--provider", "anthropic", "--tier", "MEDIUM"),
            lambda one: (
                one.ending is Ending.FAILED and one.target.provider == "anthropic" and one.tier is Tier.MEDIUM
            ),
        ),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_a_filter_comes_before_the_limit(lynkr, kept, words, is_wanted, limit):
    wanted = [one.id for one in kept if is_wanted(one)]
    assert len(wanted) >= 3 or limit == 1000 or "--tier" in words  # else the limit would prove nothing
    assert listed(lynkr, *words, "-n", str(limit)) == wanted[:limit]


def test_without_words_the_newest_twenty_are_listed(lynkr, kept):
    assert listed(lynkr) == [one.id for one in kept[:20]]


@pytest.mark.parametrize("minutes", [10, 59])
def test_a_window_says_since_when(lynkr, kept, minutes):
    words = ("--window", f"{minutes}m", "-n", "100")
    assert listed(lynkr, *words) in (
        [one.id for one in kept[:minutes]],
        [one.id for one in kept[: minutes - 1]],
    )


def test_a_window_of_days_has_them_all(lynkr, kept):
    assert listed(lynkr, "--window", "7d", "-n", "100") == [one.id for one in kept]


def test_one_can_page_through_them(lynkr, kept):
    first = listed(lynkr, "--errors", "-n", "5")
    then = listed(lynkr, "--errors", "-n", "5", "--before", first[-1])
    assert first + then == [one.id for one in kept if one.ending is Ending.FAILED][:10]


def test_the_table_names_what_it_lists_and_none_is_said(lynkr, kept):
    ran = lynkr("logs", "--session", "s3", "-n", "2")
    rows = ran.out.splitlines()
    assert [name in rows[0] for name in ("id", "tier", "target", "status", "cost", "session")] == [True] * 6
    assert [kept[2].id in rows[-2], kept[7].id in rows[-1]] == [True, True]
    assert "no such request" in lynkr("logs", "--session", "nobody").out


@pytest.mark.parametrize(
    "words", [("--tier", "HUGE"), ("-n", "-1"), ("-n", "some"), ("--window", "yesterday")]
)
def test_what_is_no_filter_is_refused_by_name(lynkr, kept, words):
    ran = lynkr("logs", *words)
    assert ran.status == 2
    assert words[0].lstrip("-") in ran.err or "limit" in ran.err

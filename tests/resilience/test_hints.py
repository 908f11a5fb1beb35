"""Wait hints: everything providers say, and nothing they do not."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.resilience.hints import LONGEST, duration, http_date, wait_hint

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
NAMES = [
    "retry-after-ms",
    "retry-after",
    *(f"x-ratelimit-{word}-{what}" for word in ("reset", "remaining") for what in ("requests", "tokens")),
    *(
        f"anthropic-ratelimit-{what}-{word}"
        for what in ("requests", "tokens", "input-tokens", "output-tokens", "unified")
        for word in ("reset", "remaining", "status")
    ),
]
pieces = st.sampled_from(
    [
        "1",
        "0",
        "-1",
        "1e9",
        "nan",
        "inf",
        ".",
        "s",
        "ms",
        "m",
        "h",
        " ",
        "GMT",
        "2026-11-23T12:00:00Z",
        "٣",
        "6m0s",
    ]
)
values = st.text(max_size=20) | st.lists(pieces, max_size=5).map("".join)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2068, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@given(st.dictionaries(st.sampled_from(NAMES), values), st.floats(0, 4e9))
@example({"retry-after": "1" * 12}, 0.0)
@example({"retry-after": "Mon, 31 Feb 2026 00:00:00 GMT"}, 0.0)
@example({"anthropic-ratelimit-tokens-reset": "0001-01-01T00:00:00+23:59"}, 0.0)
def test_a_hint_is_a_sane_wait_or_none(headers: dict[str, str], now: float) -> None:
    hint = wait_hint(headers, now)
    assert hint is None or 0 <= hint <= LONGEST


@given(st.integers(0, int(LONGEST)))
def test_seconds_are_read(seconds: int) -> None:
    assert wait_hint({"retry-after": str(seconds)}, NOW) == seconds
    assert wait_hint({"retry-after": f" {seconds} "}, NOW) == seconds


@given(st.integers(0, int(LONGEST)))
def test_milliseconds_are_read_and_come_first(milliseconds: int) -> None:
    headers = {"retry-after-ms": str(milliseconds), "retry-after": "59"}
    assert wait_hint(headers, NOW) == milliseconds / 1000


@given(moments)
def test_an_http_date_is_read_in_each_of_its_three_forms(moment: datetime) -> None:
    day_names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    imf = format_datetime(moment, usegmt=True)
    rfc850 = f"{day_names[moment.weekday()]}, {imf[5:7]}-{imf[8:11]}-{imf[14:16]} {imf[17:]}"
    asctime = f"{imf[:3]} {imf[8:11]} {moment.day:2d} {imf[17:25]} {moment.year}"
    for text in (imf, rfc850, asctime):
        assert http_date(text) == moment.timestamp(), text


@given(moments, st.floats(-1e6, 600_000))
def test_a_date_is_counted_from_now_and_never_negative(moment: datetime, ahead: float) -> None:
    hint = wait_hint({"retry-after": format_datetime(moment, usegmt=True)}, moment.timestamp() - ahead)
    assert hint is not None
    assert hint == pytest.approx(max(0.0, ahead), abs=1e-3)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{milliseconds}ms"
    assert duration(text) == pytest.approx(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6s", 6),
        ("1m30s", 90),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("1h", 3600),
        ("2m", 120),
        ("1s", 1),
    ],
)
def test_durations_as_openai_writes_them(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "6", "s", "-6s", "6 s", "1m1h", "6sec", "1s1s", "infs", "1e3s", "٣s"]
)
def test_other_text_is_no_duration(text: str) -> None:
    assert duration(text) is None


@given(moments, st.integers(-14 * 60, 14 * 60), st.integers(0, 86_400))
def test_anthropic_resets_are_read_in_any_time_zone(moment: datetime, offset: int, ahead: int) -> None:
    there = (moment + timedelta(seconds=ahead)).astimezone(timezone(timedelta(minutes=offset)))
    headers = {"anthropic-ratelimit-input-tokens-reset": there.isoformat()}
    assert wait_hint(headers, moment.timestamp()) == ahead


def test_of_several_spent_budgets_the_last_to_come_back_counts() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:05Z",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-23T12:00:30Z",
        "anthropic-ratelimit-input-tokens-remaining": "12000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:00:59Z",
    }
    assert wait_hint(headers, NOW) == 30


def test_a_budget_with_something_left_says_nothing_about_waiting() -> None:
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s"}
    assert wait_hint(headers, NOW) is None
    assert wait_hint({**headers, "x-ratelimit-remaining-requests": "0"}, NOW) == 1
    assert wait_hint({"x-ratelimit-reset-requests": "1s"}, NOW) == 1


def test_a_rejected_subscription_window_says_when_it_reopens() -> None:
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": f"{NOW + 90:.0f}",
    }
    assert wait_hint(headers, NOW) == 90
    assert wait_hint({**headers, "anthropic-ratelimit-unified-status": "allowed"}, NOW) is None


@pytest.mark.parametrize("garbage", ["soon", "", "-5", "nan", "inf", "1e3", "Mon, 30 Foo 2026 12:00:00 GMT"])
def test_garbage_in_one_header_leaves_the_others_heard(garbage: str) -> None:
    assert wait_hint({"retry-after": garbage}, NOW) is None
    assert wait_hint({"retry-after-ms": garbage, "retry-after": "7"}, NOW) == 7
    assert wait_hint({"retry-after": garbage, "x-ratelimit-reset-tokens": "6m0s"}, NOW) == 360


@pytest.mark.parametrize("text", ["99999999", "1795435200", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurdly_long_wait_is_still_a_long_wait(text: str) -> None:
    assert wait_hint({"retry-after": text}, NOW) == LONGEST


def test_no_headers_no_hint() -> None:
    assert wait_hint({}, NOW) is None


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:05", "2026-11-23", "2026-11-23T25:00:00Z", "x" * 100 + "T"]
)
def test_an_instant_without_an_offset_or_out_of_range_is_no_hint(text: str) -> None:
    assert wait_hint({"anthropic-ratelimit-tokens-reset": text}, NOW) is None

"""docs/losses.md says what the codecs declare today."""

from itertools import permutations

import pytest

from lynkr.model import WireFormat
from lynkr.testing.laws import assert_losses_honest, assert_response_losses_honest
from tests.docs.losses import NAMES, PAGE, page, probe_of
from tests.laws.probes import ANSWERS, REQUESTS
from tests.laws.test_codec_laws import CODECS

PAIRS = list(permutations(CODECS, 2))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.docs.losses"


def test_every_ordered_pair_of_dialects_has_its_table() -> None:
    headings = {line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("### ")}
    assert headings == {f"### From {NAMES[one]} to {NAMES[other]}" for one, other in PAIRS}
    assert set(REQUESTS) == set(ANSWERS) == set(NAMES) == set(CODECS)


@pytest.mark.parametrize(
    ("origin", "target"), PAIRS, ids=[f"{one.value}-to-{other.value}" for one, other in PAIRS]
)
def test_the_tables_tell_the_whole_truth(origin: WireFormat, target: WireFormat) -> None:
    """What the page lists is lost indeed, and nothing else is."""
    request, answer = probe_of(origin, target)
    assert_losses_honest(CODECS[target], request)
    assert_response_losses_honest(CODECS[target], answer)


@pytest.mark.parametrize("format", CODECS, ids=[each.value for each in CODECS])
def test_the_probes_lose_nothing_in_their_own_dialect(format: WireFormat) -> None:
    request, answer = probe_of(format, format)
    assert CODECS[format].encode_request(request).losses == ()
    assert CODECS[format].encode_response(answer).losses == ()

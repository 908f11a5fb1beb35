from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from lynkr.providers.endpoints import FixedEndpoint, ModelEndpoint

BEDROCK = ModelEndpoint("https://host/model/{model}/converse", "https://host/model/{model}/converse-stream")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(NAMES)
def test_a_models_name_comes_back_out_of_one_segment_of_the_path(model):
    url = BEDROCK.url(model, stream=False)
    before, name, after = urlsplit(url).path.rsplit("/", 2)
    assert (before, unquote(name), after) == ("/model", model, "converse")
    assert urlsplit(url).query == urlsplit(url).fragment == ""


@given(NAMES)
def test_no_http_library_makes_another_path_of_it(model):
    url = BEDROCK.url(model, stream=True)
    path = urlsplit(url).path
    assert httpx.URL(url).raw_path.decode() == path
    assert URL(url, encoded=True).raw_path == path


def test_a_streamed_answer_may_have_an_address_of_its_own():
    assert BEDROCK.url("a.b-v1:0", stream=True) == "https://host/model/a.b-v1%3A0/converse-stream"
    assert FixedEndpoint("https://host/x").url("m", stream=True) == "https://host/x"


def test_a_host_may_want_signs_of_the_name_as_they_are():
    vertex = ModelEndpoint("https://host/models/{model}:rawPredict", "https://host/s/{model}", kept="@/")
    assert vertex.url("claude@2025", stream=False) == "https://host/models/claude@2025:rawPredict"
    assert vertex.url("google/gemma", stream=True) == "https://host/s/google/gemma"


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_name_that_is_no_segment_of_a_path_is_refused(model):
    with pytest.raises(ValueError, match="path"):
        BEDROCK.url(model, stream=False)


@pytest.mark.parametrize("model", ["a/../b", "/a", "a/", "../admin"])
def test_a_name_of_several_segments_cannot_climb(model):
    with pytest.raises(ValueError, match="path"):
        ModelEndpoint("https://host/{model}", "https://host/{model}", kept="/").url(model, stream=False)

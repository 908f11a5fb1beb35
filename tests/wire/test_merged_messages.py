"""Tool results and the user message after them are one canonical message; nothing of either may fall."""

from typing import Any

import pytest

from lynkr.testing.laws import assert_body_law
from lynkr.wire.base import Codec
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec


@pytest.mark.parametrize(
    ("codec", "arguments"), [(OllamaChatCodec(), {}), (OpenAIChatCodec(), "{}")], ids=["ollama", "chat"]
)
def test_an_empty_user_message_after_results_keeps_its_unknown_fields(codec: Codec, arguments: Any) -> None:
    """Found by the body law."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = {
        "model": "m",
        "messages": [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "", "tool_call_id": "c"},
            {"role": "user", "content": "", "x_note": None},
        ],
    }
    assert_body_law(codec, body)

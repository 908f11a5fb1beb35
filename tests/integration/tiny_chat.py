"""``transformers serve`` with a chat model of 10,864 random weights, made here: nothing is downloaded.

Run as a module, in an environment with torch and ``transformers[serving]``:
``python -m tests.integration.tiny_chat FOLDER``.  It makes the model at
FOLDER/tiny-chat, serves it on a free port of the loopback interface, says
``Uvicorn running on http://127.0.0.1:PORT`` on standard output, and ends when
its standard input does.
"""

import contextlib
import os
import signal
import string
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Final

MODEL: Final = "tiny-chat"
_TEMPLATE: Final = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def make_model(folder: Path) -> None:
    """Save a Llama of one layer and a tokenizer with one token per byte.

    It says ASCII letters and digits only and never ends by itself, so that an answer
    has as many tokens, and as many signs, as its request allows.
    """
    # By name: only the environment of `nox -s servers` has them.
    tokenizers: Any = import_module("tokenizers")
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *sorted(letters)])}
    byte_level = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    byte_level.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = _TEMPLATE
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=vocabulary["<s>"],
            eos_token_id=vocabulary["</s>"],
            pad_token_id=vocabulary["</s>"],
        )
    )
    said = set(string.ascii_letters + string.digits)
    model.generation_config.suppress_tokens = [
        index for token, index in vocabulary.items() if token not in said
    ]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _end_with_owner() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Make the model and be ``transformers serve``, by its own entry point."""
    os.chdir(sys.argv[1])  # the server knows a model on disk by its path, so that this one's is its name
    make_model(Path(MODEL))
    threading.Thread(target=_end_with_owner, daemon=True).start()
    sys.argv = ["transformers", "serve", MODEL, "--device", "cpu", "--host", "127.0.0.1", "--port", "0"]
    cli: Any = import_module("transformers.cli.transformers")
    with contextlib.redirect_stderr(sys.stdout):  # where uvicorn says its port
        cli.main()


if __name__ == "__main__":
    main()

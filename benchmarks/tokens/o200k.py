"""OpenAI's o200k_base for tiktoken, from the npm package ``js-tiktoken``, which carries its ranks.

tiktoken itself loads them from the network.  ``npm pack js-tiktoken`` and unpack it;
the file wanted is ``package/dist/ranks/o200k_base.js``.
"""

import base64
import json
from pathlib import Path

import tiktoken


def o200k(path: Path) -> tiktoken.Encoding:
    """The encoding whose ranks stand in *path*."""
    text = path.read_text("utf-8").removeprefix("export default ").rstrip().rstrip(";")
    value = json.loads(text)
    ranks: dict[bytes, int] = {}
    for line in value["bpe_ranks"].splitlines():
        _, first, *tokens = line.split(" ")
        ranks |= {base64.b64decode(token): int(first) + nth for nth, token in enumerate(tokens)}
    return tiktoken.Encoding(
        "o200k_base", pat_str=value["pat_str"], mergeable_ranks=ranks, special_tokens=value["special_tokens"]
    )

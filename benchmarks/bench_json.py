"""Reading a client's body by each JSON library: CPU microseconds, and multiples of the standard library's.

    pip install orjson; python benchmarks/bench_json.py

lynkr takes msgspec where it is installed.  It also tells where a field's value stands in the text
(`Raw`), which is how ``model`` is replaced in the client's own bytes; orjson has nothing of the kind.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import process_time
from timeit import repeat
from typing import Final

sys.path.insert(0, str(Path(__file__).parent / "gateway"))

from bodies import SIZES, body

READERS: Final = {
    "json": ("json", "loads"),
    "msgspec": ("msgspec.json", "decode"),
    "orjson": ("orjson", "loads"),
}


def microseconds(read: Callable[[bytes], object], text: bytes) -> float:
    """Processor time of the best of seven runs."""
    number = max(20, 2_000_000 // len(text))
    return min(repeat(lambda: read(text), timer=process_time, number=number, repeat=7)) / number * 1e6


def main() -> int:
    for size in SIZES:
        text = body(size, "messages", stream=False)
        standard = microseconds(json.loads, text)
        for name, (module, function) in READERS.items():
            try:
                read = getattr(import_module(module), function)
            except ImportError:
                print(f"{size:8} {name:8} is not installed")
                continue
            took = microseconds(read, text)
            print(f"{size:8} {name:8} {took:8.1f} us  {took / standard:5.2f} x json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

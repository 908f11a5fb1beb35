"""``lynkr key``: a random API key and its hash."""

import argparse
import json
import secrets
from hashlib import sha256
from typing import Final

PREFIX: Final = "lynkr-"  # so that scanners for leaked secrets can know it


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", nargs="?", help="whose key it is to be (default NAME)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print a key of 256 random bits and its hash; neither is kept."""
    key = PREFIX + secrets.token_urlsafe(32)
    hashed = f"sha256:{sha256(key.encode()).hexdigest()}"
    if arguments.json:
        print(json.dumps({"key": key, "hash": hashed}))
        return 0
    print(f"key:  {key}")
    print(f"hash: {hashed}")
    print()
    print("Give the key to the client: it is shown this once.  Put the hash into the settings file:")
    print()
    print(f"[tenants.{json.dumps(arguments.tenant or 'NAME')}]")
    print(f'api_key_hashes = ["{hashed}"]')
    return 0

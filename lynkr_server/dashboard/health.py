"""How the gateway itself is: its breakers, and the recorder that writes the ledger."""

from typing import Any

from attrs import asdict

from lynkr_server.colleagues import with_others
from lynkr_server.dashboard.reading import Reading


def breakers_json(reading: Reading) -> list[dict[str, Any]]:
    """Every breaker that was asked for a permit; times in Unix seconds."""
    return [
        {
            "name": status.name,
            "state": status.state.value,
            "successes": status.successes,
            "failures": status.failures,
            "rejected": status.rejected,
            "changed": status.changed,
            "nextAttempt": status.next_attempt,
        }
        for status in reading.gateway.breakers.statuses(reading.now)
    ]


def recorder_json(reading: Reading) -> dict[str, Any]:
    """Counts since the start, of all workers, and the ledger's last complaint to this one."""
    recorder = reading.gateway.recorder
    if recorder is None:
        return {"queued": 0, "written": 0, "dropped": 0, "failed": 0, "lastError": None, "lastErrorAt": None}
    found = with_others(asdict(recorder.stats()), reading.others)
    renamed = {"last_error": "lastError", "last_error_at": "lastErrorAt"}
    return {renamed.get(name, name): value for name, value in found.items()}

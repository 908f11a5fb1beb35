"""What an attempt was, and what it proves about the provider."""

from enum import StrEnum


class AttemptKind(StrEnum):
    """Why an attempt was made."""

    FIRST = "first"
    RETRY = "retry"  # the same target again
    FALLBACK = "fallback"  # another target, because those before it failed
    HEDGE = "hedge"  # beside one that is still under way
    PANIC = "panic"  # through an open circuit, because every one was open


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"  # cancelled, or the caller's own fault: proves nothing about the provider

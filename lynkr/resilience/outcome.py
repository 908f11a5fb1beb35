"""What an attempt proves about the provider."""

from enum import StrEnum


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"  # cancelled, or the caller's own fault: proves nothing about the provider

"""Breakers, retry policies and verdicts as pure values; every time is an argument.

Nothing is imported here, so that `import lynkr` stays light:

- `classify`: what an error means, as one table
- `hints`: how long a provider asks us to wait
- `retry`: backoff
- `breaker`, `registry`: circuit breakers and the set of them
"""

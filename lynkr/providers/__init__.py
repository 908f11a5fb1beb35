"""Providers: a dialect, credentials, an endpoint and a profile, over one transport."""

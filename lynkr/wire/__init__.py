"""Bytes to the canonical model and back, sans-IO; one package per dialect."""

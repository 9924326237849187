"""Keyswap as an ASGI middleware: each caller's proxy token is swapped for the real key of an LLM provider."""

from ._engine import PolicyError
from ._middleware import Keyswap

__all__ = ["Keyswap", "PolicyError"]

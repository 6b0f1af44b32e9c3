"""Leyden: a Lightning wallet and node for the terminal."""

__version__ = "0.1.0"

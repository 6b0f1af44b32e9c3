"""Leyden: a Lightning wallet and node for the terminal."""

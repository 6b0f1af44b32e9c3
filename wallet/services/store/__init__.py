"""SQLite: migrations, one writer, one transaction per batch.

node enters.
Never here: decisions, default values of the business.
Read first: tables.py, sqlite.py.
"""

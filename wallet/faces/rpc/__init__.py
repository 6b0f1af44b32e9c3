"""Core Lightning's JSON-RPC over a unix socket, both ends.

cli and demo enter the client; node.build enters nothing here.
Never here: decisions; methods call node.api.
Read first: server.py, client.py.
"""

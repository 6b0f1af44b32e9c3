"""The embedded chain: Bitcoin Core's consensus code behind Core's JSON-RPC.

faces/cli enters to serve it; tests enter for the engine.
Never here: Lightning; the core never imports it.
Read first: engine.py, chain.py.
"""

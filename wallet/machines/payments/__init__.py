"""Payments out and in: onions, failures, invoices being paid.

node/switchboard enters.
Never here: channel state, wire framing, secrets of the node.
Read first: outgoing.py, incoming.py.
"""

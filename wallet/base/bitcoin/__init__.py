"""Transactions, scripts, sighashes, addresses, blocks, chains.

channel_tx, coins, chain and regtest enter.
Never here: Lightning, validation of consensus rules.
Read first: transaction.py, script.py.
"""

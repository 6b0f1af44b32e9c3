"""The holder of secrets: seed file, key paths, signatures.

node enters, through the `Signer` port; nobody else sees a secret.
Never here: why something is signed; secrets in logs, answers, reprs or tracebacks.
Read first: key_paths.py, signer.py.
"""

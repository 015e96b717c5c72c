"""The quality app: what an explanation is worth."""

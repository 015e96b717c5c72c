"""Relevance from the output down to the input, with the ledger of what each step kept."""

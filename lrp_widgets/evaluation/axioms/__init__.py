"""The report card: one number, with its limit, for each property an explanation should have."""

"""What every app has: its settings, what it offers, how it puts results into words, cores and memory."""

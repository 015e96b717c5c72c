"""A model run, written down: every ATen step that depends on the input, and the values between the steps."""

"""The same explanation by other libraries, and how far it is from ours."""

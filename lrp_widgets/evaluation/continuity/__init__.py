"""Continuity: how far an explanation moves when its input hardly does."""

"""The live explainer: torch only, reads like the paper."""

"""Serve an app's notebook with Voila."""

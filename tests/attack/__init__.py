"""Attempts to do harm: each was once successful, and must fail with one clear sentence."""

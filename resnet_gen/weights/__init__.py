"""Weights of others: read without running anything, renamed, transformed exactly, written back."""

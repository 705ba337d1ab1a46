"""Specs and recipes: found, parsed, validated, and written anew."""

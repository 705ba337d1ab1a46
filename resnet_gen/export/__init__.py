"""Leaving for production: a trained network as one file that runs without its folder."""

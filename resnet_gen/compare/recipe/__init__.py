"""Section 4.2 or 3.4, the spec's recipe and what the generated train.py does, side by side."""

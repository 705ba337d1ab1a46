"""Starting a generated train.py, and saying beforehand what it will do."""

"""The paper's experiments: what is run for each of its tables and figures, and running it."""

"""A report of training runs: their errors beside the paper's, figures, and findings in words."""

"""Every number that the paper prints, and what stands here beside it."""

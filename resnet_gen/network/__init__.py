"""What a spec means: every layer of the network, by arithmetic alone."""

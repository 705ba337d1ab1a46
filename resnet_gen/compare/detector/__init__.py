"""A detector's code against its spec and appendices A and B."""

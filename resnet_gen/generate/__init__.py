"""From a network to the text of its code, and to the files on disk."""

"""What the paper prints, transcribed by hand; nothing in it is computed."""

"""Responses of a trained network's 3×3 layers: finding, measuring and drawing them (Figure 7)."""

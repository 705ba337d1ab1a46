"""Pictures of networks: Figure 3's columns and Figure 5's blocks, as SVG and for a terminal."""

"""resnet-gen: the networks of He et al. 2015 (arXiv:1512.03385) as specs, and readable code."""

__version__ = "0.2.0"

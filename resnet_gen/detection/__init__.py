"""Detectors: section 4.3 and the appendices, from a spec to code and to what the paper says."""

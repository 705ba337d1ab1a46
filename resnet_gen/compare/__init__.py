"""The paper, the spec and the generated code, laid side by side."""

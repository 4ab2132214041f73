"""The paper's ablations, small: see README.md beside this file."""

"""A real browser drives the shops in examples/, before and after the changed lines."""

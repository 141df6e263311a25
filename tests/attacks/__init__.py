"""Attacks on the decoder: hostile pickles as data, and the tests that show each of them fails."""

"""The real libraries with plainpickle in pickle's place.

Each test reads with the one what was written with the other, both ways, and plants a canary in the
library's own store: stock pickle runs it, which shows that the test can fail, and plainpickle does
not. `legacy/` is for versions that can't live in one environment with the present ones.
"""

"""CPython's own tests of pickle, run against plainpickle."""

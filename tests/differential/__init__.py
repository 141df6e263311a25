"""Differential tests: CPython's pickle is the oracle; generated graphs, damaged pickles.

`graphs` makes object graphs, `forms` pickles them, `isomorphism` compares two results strictly,
`mutants` damages pickles, `reference` is CPython with the same names allowed, `checks` puts one
input through everything, `divergences` knows the intended differences, `fuzz` is the command.
"""

"""Old versions, in an environment of their own: requirements/legacy.txt.

The files are run by pytest there, started by `tests/libraries/test_legacy.py`; their names keep
pytest here from collecting them.
"""

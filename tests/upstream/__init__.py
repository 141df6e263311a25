"""The frameworks' own test suites, with plainpickle in the place of their serializers.

Each suite runs twice, in processes of their own: as it is, and with plainpickle in place. Each of
its tests has to end in the same way; those that can't are in `excluded.json`, with their reason.
"""

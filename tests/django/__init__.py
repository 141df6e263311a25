"""Django: real engines, caches, rows, cookies and requests, in the Django that is installed."""

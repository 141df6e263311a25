# -*- coding: utf-8 -*-
"""Write each value at each protocol, once per shape, as JSON lines on the standard output.

Runs in one environment: `PYTHONPATH=packages python record.py` on Python 2.7 or 3.6+.
merge.py makes SAMPLES.json of the outputs of all environments.
"""
from __future__ import print_function, unicode_literals

import binascii
import json
import os
import pickle
import platform
import sys
import warnings

from shape import shape
from values import CASES

warnings.simplefilter("ignore")
PACKAGES = {  # distribution -> package
    "django": "django", "pytz": "pytz", "markupsafe": "markupsafe", "jinja2": "jinja2", "werkzeug": "werkzeug",
    "python_dateutil": "dateutil", "py_moneyed": "moneyed", "django_money": "djmoney", "numpy": "numpy", "pendulum": "pendulum",
}


def versions():
    """The packages of this environment, by the names of their metadata folders."""
    found = {"python": platform.python_version()}
    for folder in os.environ["PYTHONPATH"].split(os.pathsep):
        for entry in os.listdir(folder):
            stem, end = os.path.splitext(entry)
            if end in (".dist-info", ".egg-info"):
                name, version = stem.split("-")[:2]
                if name.lower() in PACKAGES:
                    found[PACKAGES[name.lower()]] = version
    return found


def reread(data, value):
    """What the writer itself reads back: a fold, for one, is not written below protocol 4."""
    try:
        return pickle.loads(data)
    except Exception:
        return value


def main():
    software = versions()
    pickles = [("c", __import__("cPickle"))] if sys.version_info[0] == 2 else [("c", pickle)]
    pickles.append(("py", pickle))
    for name, make, expected in CASES:
        try:
            value = make()
        except Exception as error:
            print(name, "not made:", type(error).__name__, str(error)[:70], file=sys.stderr)
            continue
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for writer, module in pickles:
                try:
                    if writer == "py" and sys.version_info[0] > 2:
                        data = pickle._dumps(value, protocol)
                    else:
                        data = module.dumps(value, protocol)
                except Exception as error:
                    print(name, protocol, "not written:", type(error).__name__, str(error)[:70], file=sys.stderr)
                    continue
                print(json.dumps({
                    "name": name, "software": software, "protocol": protocol, "writer": writer, "shape": shape(data),
                    "pickle_hex": binascii.hexlify(data).decode("ascii"),
                    "expected": expected(reread(data, value)) if callable(expected) else expected}))


if __name__ == "__main__":
    main()

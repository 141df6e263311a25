"""Names with dots, and names split at another dot."""

from __future__ import annotations

from tests.attacks.case import FORBIDDEN, SECRET, Family
from tests.attacks.ops import glob, pickled, reduced, stack_glob

RULE = "whole strings are compared; a dot in a name is never walked"

family = Family("dotted-name", "the name holds a path of attributes to walk from an allowed module")
NAMES = (
    "uuid:os.system", "uuid:UUID.__init__.__globals__", "builtins:str.upper",
    "datetime:sys.modules",
    "datetime:datetime.now", "datetime:datetime.__class__", "datetime:datetime.__reduce__",
    "collections:OrderedDict.fromkeys", "collections:abc.sys", "collections.abc:sys",
    "decimal:Decimal.__class__.__base__.__subclasses__", "zoneinfo:ZoneInfo._unpickle",
    "zoneinfo:ZoneInfo.from_file", "fractions:Fraction.__new__.__globals__",
    "pathlib:Path.unlink", "pathlib:os.system", "copyreg:dispatch_table.clear",
    "copyreg:_reconstructor.__globals__", "types:SimpleNamespace.__init__",
    "_codecs:encode.__self__",
    "builtins:__dict__.values", "builtins:object.__subclasses__",
)  # fmt: skip
SPLITS = (
    "datetime.datetime:now", ":datetime.datetime", "datetime.datetime:", "datetime:.datetime",
    "datetime:datetime.", "datetime.:datetime", ".datetime:datetime", "collections.OrderedDict:",
    "django.utils:safestring.SafeString", "django:utils.safestring.SafeString",
    ":django.utils.safestring.SafeString", ":", ":.", ".:", "datetime..datetime:datetime",
)  # fmt: skip

for id_, attempt, names in (
    ("walk", "Walks from an allowed module or class to another attribute.", NAMES),
    ("split", "Splits an allowed name between module and name at another place.", SPLITS),
):
    for form, name_of in (("global", glob), ("stack-global", stack_glob)):
        family.add(
            f"{id_}-{form}", attempt, RULE, FORBIDDEN,
            {
                f"protocol-{protocol}-{name}": pickled(
                    reduced(name_of(name), SECRET), protocol=protocol
                )
                for name in names
                for protocol in ((0, 4) if form == "global" else (4,))
            },
        )  # fmt: skip

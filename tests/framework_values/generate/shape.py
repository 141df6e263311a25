# -*- coding: utf-8 -*-
"""The shape of a pickle: its construction calls as one line of text, the same at every
encoding of the same calls.  Runs on Python 2.7 and 3.6+; nothing is executed.

s'..' is a Python 2 str, '..' text, b'..' bytes; `x | BUILD y` is x.__setstate__(y).
"""
from __future__ import unicode_literals

import pickletools

MARK = object()
CONSTANTS = {"NONE": "None", "NEWTRUE": "True", "NEWFALSE": "False", "EMPTY_TUPLE": "()"}
EMPTY = {"EMPTY_LIST": "[%s]", "EMPTY_DICT": "{%s}", "EMPTY_SET": "set{%s}"}
INTS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
PY2STR = {"STRING", "BINSTRING", "SHORT_BINSTRING"}


class Box(object):
    """A value made of others: a template, its items, and what was done to it afterwards."""

    def __init__(self, template, items=(), between=", "):
        self.template, self.items, self.between, self.after = template, list(items), between, []


def rendered(value, seen):
    """The text of a stack value; a large one that was shown before is `*`."""
    if not isinstance(value, Box):
        return value
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = "*"
    text = value.template % value.between.join(rendered(item, seen) for item in value.items)
    for verb, items in value.after:
        text += " | %s %s" % (verb, rendered(items, seen))
    if len(text) < 100:
        seen[id(value)] = text
    return text


def text_of(arg):
    out = repr(arg).lstrip("ub")
    return out


def shape(data):
    """One line of text that describes what `data` calls with what."""
    stack, memo = [], {}

    def pop_to_mark():
        items = []
        while stack[-1] is not MARK:
            items.append(stack.pop())
        stack.pop()
        return items[::-1]

    def pairs(items):
        return [Box("%s", pair, ": ") for pair in zip(items[::2], items[1::2])]

    for op, arg, _ in pickletools.genops(data):
        n = op.name
        if n == "MARK":
            stack.append(MARK)
        elif n in INTS:
            stack.append("%s" % (arg,))
        elif n in ("FLOAT", "BINFLOAT"):
            stack.append(repr(arg))
        elif n in TEXTS:
            stack.append("%s" % text_of(arg))
        elif n in PY2STR:
            stack.append("s" + text_of(arg))
        elif n in BYTES:
            stack.append("b" + text_of(bytes(arg)))
        elif n in CONSTANTS:
            stack.append(CONSTANTS[n])
        elif n in EMPTY:
            stack.append(Box(EMPTY[n]))
        elif n in ("TUPLE1", "TUPLE2", "TUPLE3"):
            k = int(n[-1])
            items, stack[-k:] = stack[-k:], []
            stack.append(Box("(%s)", items))
        elif n in ("TUPLE", "LIST", "FROZENSET"):
            stack.append(Box({"TUPLE": "(%s)", "LIST": "[%s]", "FROZENSET": "frozenset{%s}"}[n], pop_to_mark()))
        elif n == "DICT":
            stack.append(Box("{%s}", pairs(pop_to_mark())))
        elif n in ("APPENDS", "ADDITEMS"):
            items = pop_to_mark()
            if stack[-1].template[0] in "[s":
                stack[-1].items.extend(items)
            else:
                stack[-1].after.append(("APPENDS", Box("[%s]", items)))
        elif n == "APPEND":
            item = stack.pop()
            if stack[-1].template[0] == "[":
                stack[-1].items.append(item)
            else:
                stack[-1].after.append(("APPENDS", Box("[%s]", [item])))
        elif n in ("SETITEM", "SETITEMS"):
            if n == "SETITEM":
                items, stack[-2:] = stack[-2:], []
            else:
                items = pop_to_mark()
            if stack[-1].template[0] == "{":
                stack[-1].items.extend(pairs(items))
            else:
                stack[-1].after.append(("SETITEMS", Box("{%s}", pairs(items))))
        elif n == "GLOBAL":
            stack.append(arg.replace(" ", "."))
        elif n == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append("%s.%s" % (module.strip("'"), name.strip("'")))
        elif n in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            k = 3 if n == "NEWOBJ_EX" else 2
            call, stack[-k:] = stack[-k:], []
            stack.append(Box(n + " %s", call, ""))
        elif n == "INST":
            stack.append(Box("INST %s", [arg.replace(" ", "."), Box("(%s)", pop_to_mark())], ""))
        elif n == "OBJ":
            items = pop_to_mark()
            stack.append(Box("OBJ %s", [items[0], Box("(%s)", items[1:])], ""))
        elif n == "BUILD":
            state = stack.pop()
            stack[-1].after.append(("BUILD", state))
        elif n in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[arg] = stack[-1]
        elif n == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif n in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[arg])
        elif n == "DUP":
            stack.append(stack[-1])
        elif n == "POP":
            stack.pop()
        elif n == "POP_MARK":
            pop_to_mark()
        elif n not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(n)
    return rendered(stack[-1], {})

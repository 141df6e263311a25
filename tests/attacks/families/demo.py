"""Calls by GLOBAL or STACK_GLOBAL and REDUCE, the two well-known demo payloads first."""

from __future__ import annotations

import os
import pickle

from tests.attacks.case import FORBIDDEN, SECRET, Family, forbidden
from tests.attacks.ops import built, glob, pickled, reduced, stack_glob

EXACT = "exact name in the policy table"

ONE_LINE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."


class Demo:
    """Pickles as a call of os.system."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo vulnerable_to_rce",)


SYSTEM = f"{os.system.__module__}.system"

family = Family("exec-direct", "a GLOBAL names a function and REDUCE calls it")
family.add(
    "one-line", "Calls os.system with the one-line demo payload.", EXACT,
    forbidden("os.system"), ONE_LINE,
)  # fmt: skip
family.add(
    "reduce", "Calls os.system through `__reduce__`, as any pickler writes it.", EXACT,
    forbidden(SYSTEM), {f"protocol-{p}": pickle.dumps(Demo(), p) for p in range(6)},
)  # fmt: skip

# What each of these could do is well known; the argument is a text that does nothing.
CALLABLES = """
os.system posix.system nt.system os.popen os.execv os.execvp os.spawnl os.posix_spawn os.kill
os.remove os.putenv os.fork builtins.eval builtins.exec builtins.compile builtins.open
builtins.__import__ builtins.breakpoint builtins.input builtins.print builtins.setattr
builtins.vars builtins.globals __builtin__.eval __builtin__.execfile __builtin__.apply
__builtin__.file __builtin__.input __builtin__.reload subprocess.Popen subprocess.call
subprocess.run subprocess.check_output subprocess.getoutput commands.getoutput popen2.popen2
platform.popen pty.spawn runpy.run_path runpy.run_module runpy._run_code timeit.timeit timeit.main
cProfile.run profile.run trace.Trace pdb.run bdb.Bdb doctest.debug_script
code.InteractiveInterpreter code.interact codeop.compile_command importlib.import_module
importlib.util.spec_from_file_location imp.load_source imp.load_module marshal.loads pickle.loads
pickle.load _pickle.loads cPickle.loads dill.loads cloudpickle.loads joblib.load torch.load
numpy.load pandas.read_pickle shelve.open types.FunctionType types.CodeType types.MethodType
ctypes.CDLL ctypes.string_at _ctypes.CFuncPtr socket.socket socket.create_connection
urllib.request.urlopen urllib.urlopen requests.get http.client.HTTPConnection smtplib.SMTP
ftplib.FTP webbrowser.open shutil.rmtree shutil.copy shutil.move pathlib.Path.unlink
tempfile.mkstemp multiprocessing.Process threading.Thread asyncio.create_subprocess_shell
signal.signal sys.exit sys.setrecursionlimit sys.settrace atexit.register gc.get_objects
faulthandler._sigsegv logging.config.dictConfig linecache.getlines ensurepip.bootstrap venv.create
pip.main distutils.spawn.spawn setuptools.setup test.support.script_helper.assert_python_ok
lib2to3.pgen2.driver.load_grammar sqlite3.connect xml.etree.ElementTree.parse yaml.load
django.utils.module_loading.import_string django.core.management.call_command
werkzeug.utils.import_string jinja2.Template flask.render_template_string
""".split()  # noqa: SIM905 - a table reads best as lines

for form, name_of in (("global", glob), ("stack-global", stack_glob)):
    family.add(
        f"callables-{form}", "Calls a function that runs code, opens files or connects.", EXACT,
        FORBIDDEN, {name: pickled(reduced(name_of(name), f"echo {SECRET}")) for name in CALLABLES},
    )  # fmt: skip
family.add(
    "reduce-build", "Calls a function and hides the call under a BUILD of its result.", EXACT,
    forbidden("os.system"), pickled(built(reduced("os.system", f"echo {SECRET}"), {"a": 1})),
)  # fmt: skip
family.add(
    "as-member", "Puts the call deep inside otherwise honest session data.", EXACT,
    forbidden("os.system"),
    pickled({"cart": [1, ("x", {"hidden": reduced("os.system", f"echo {SECRET}")})]}),
)  # fmt: skip

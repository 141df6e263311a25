"""Flask: one line makes an app's sessions and caches safe, whatever stores them.

``Plainpickle(app)`` finds what the app uses; ``SessionInterface`` is for signed cookies.
"""

from plainpickle.flask.cookies import SessionInterface
from plainpickle.flask.extension import Plainpickle, regenerate
from plainpickle.flask.hook import ConfigurationError

__all__ = ["ConfigurationError", "Plainpickle", "SessionInterface", "regenerate"]

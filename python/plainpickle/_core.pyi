from collections.abc import Callable, Iterable
from typing import Any, final

from typing_extensions import Buffer

from plainpickle.exceptions import UnpicklingError
from plainpickle.limits import Limits
from plainpickle.policy import Policy

__all__ = [
    "CompiledPolicy",
    "__version__",
    "inspect",
    "opcode_table",
    "refusal",
    "safe_loads",
    "sanitize",
    "to_json",
]

__version__: str

@final
class CompiledPolicy:
    def __new__(
        cls,
        *,
        plain: list[str],
        registered: list[tuple[str, Any]],
        native: list[tuple[str, Callable[..., Any]]],
        stub: bool,
    ) -> CompiledPolicy: ...

def safe_loads(
    data: Buffer,
    /,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    fix_imports: bool = True,
    encoding: str | None = None,
    errors: str = "strict",
    buffers: Iterable[Any] | None = None,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any: ...
def inspect(
    data: Buffer, policy: Policy | None = None, limits: Limits | None = None
) -> tuple[
    dict[str, int],
    list[tuple[str, str, int, list[int], bool]],
    int,
    int,
    int,
    UnpicklingError | None,
]: ...
def to_json(
    data: Buffer, policy: Policy | None = None, limits: Limits | None = None, indent: int = 2
) -> str: ...
def sanitize(data: Buffer, policy: Policy | None = None, limits: Limits | None = None) -> bytes: ...
def refusal(name: str) -> str | None: ...
def opcode_table() -> list[tuple[int, str, int, list[str], list[str]]]: ...

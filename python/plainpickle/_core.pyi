from collections.abc import Callable, Iterable, Iterator
from pickle import PickleBuffer
from typing import Any, ClassVar, Protocol, final, type_check_only

from typing_extensions import Buffer, disjoint_base

from plainpickle.exceptions import UnpicklingError
from plainpickle.limits import Limits
from plainpickle.policy import Policy
from plainpickle.report import GlobalUse

__all__ = [
    "CompiledPolicy",
    "Memo",
    "Report",
    "Unpickler",
    "__version__",
    "check",
    "check_next",
    "dump",
    "dumps",
    "format_of",
    "hands_over_code",
    "inspect",
    "load",
    "opcode_table",
    "parse_toml",
    "read_session",
    "refusal",
    "safe_loads",
    "sanitize",
    "to_json",
    "write_json",
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
        written: Callable[[Any], tuple[Any, ...] | None] | None,
        stub: bool,
    ) -> CompiledPolicy: ...

@final
class Memo:
    def __new__(cls) -> Memo: ...
    def __len__(self) -> int: ...
    def copy(self) -> dict[int, Any]: ...
    def clear(self) -> None: ...
    def set(self, values: Any) -> None: ...

@final
class Report:
    __match_args__ = ("size", "protocol", "opcodes", "globals", "trailing_bytes", "error")
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __new__(
        cls,
        size: int,
        protocol: int,
        opcodes: dict[str, int],
        globals: tuple[GlobalUse, ...],
        trailing_bytes: int,
        error: UnpicklingError | None,
    ) -> Report: ...
    @property
    def size(self) -> int: ...
    @property
    def protocol(self) -> int: ...
    @property
    def opcodes(self) -> dict[str, int]: ...
    @property
    def globals(self) -> tuple[GlobalUse, ...]: ...
    @property
    def trailing_bytes(self) -> int: ...
    @property
    def error(self) -> UnpicklingError | None: ...
    @property
    def verdict(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object) -> bool: ...

@type_check_only
class _ReadableFile(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...

@type_check_only
class _WritableFile(Protocol):
    def write(self, data: bytes, /) -> Any: ...

@disjoint_base
class Unpickler:
    def __init__(
        self,
        file: _ReadableFile,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        fix_imports: bool = True,
        encoding: str | None = None,
        errors: str = "strict",
        buffers: Iterable[Any] | None = None,
    ) -> None: ...
    @property
    def memo(self) -> Memo: ...
    @memo.setter
    def memo(self, values: Any) -> None: ...
    def load(self) -> Any: ...
    def find_class(self, module: str, name: str, /) -> Any: ...
    def persistent_load(self, pid: Any, /) -> Any: ...

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
def load(
    file: _ReadableFile,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    fix_imports: bool = True,
    encoding: str | None = None,
    errors: str = "strict",
    buffers: Iterable[Any] | None = None,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any: ...
def dumps(
    obj: Any,
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[PickleBuffer], Any] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> bytes: ...
def dump(
    obj: Any,
    file: _WritableFile,
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[PickleBuffer], Any] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> None: ...
def check(data: bytes, policy: Policy | None, limits: Limits | None) -> None: ...
def check_next(
    data: bytes,
    memo: Memo,
    policy: Policy | None,
    limits: Limits | None,
    buffers: Iterator[Any] | None,
    persistent_load: Callable[[Any], Any] | None,
) -> None: ...
def read_session(
    data: Buffer, policy: Policy | None, limits: Limits | None, salvage: bool
) -> tuple[Any, list[tuple[str | None, UnpicklingError]] | None]: ...
def write_json(
    value: Any, policy: Policy | None, limits: Limits | None
) -> bytes | tuple[UnpicklingError, str, str]: ...
def format_of(data: bytes) -> str: ...
def inspect(
    data: Buffer, /, *, policy: Policy | None = None, limits: Limits | None = None
) -> Report: ...
def to_json(
    data: Buffer, policy: Policy | None = None, limits: Limits | None = None, indent: int = 2
) -> str: ...
def sanitize(data: Buffer, policy: Policy | None = None, limits: Limits | None = None) -> bytes: ...
def refusal(name: str) -> str | None: ...
def hands_over_code(name: str) -> bool: ...
def parse_toml(text: str) -> str: ...
def opcode_table() -> list[tuple[int, str, int, list[str], list[str]]]: ...

"""Calling user Python inside a boundary: loaded from its file, called in the form it asks for, blamed exactly."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.failures import Report
from raymesh.engines.kernel.frames import Form, batches, form_of, hand_batch, hand_whole
from raymesh.errors import MeshError, SourceSpan, TransformError, TransformMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from raymesh.mesh.plan import Transform

_OURS = str(Path(__file__).resolve().parents[2])
_ARROW: Form = "table"
_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True, slots=True)
class UserFunction:
    """`transform` of a transform.py, ready to be called; a class is instantiated already."""

    call: Callable[..., Any]
    forms: Mapping[str, Form]
    file: str
    root: str
    place: SourceSpan

    def over_batches(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What the function makes of each batch, in order."""
        form = next(iter(self.forms.values()), _ARROW)
        for batch in rows:
            with boundary(self.file, self.root, self.place):
                result = self.call(hand_batch(batch, form))
                yield from self._guarded(batches(result, batch.schema))

    def over_inputs(self, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Any:
        """What the function returns for whole inputs, by parameter."""
        with boundary(self.file, self.root, self.place):
            given = {name: hand_whole(relation, self.forms[name]) for name, relation in inputs.items()}
            return self.call(**given)

    def results(self, result: Any) -> Iterator[pa.RecordBatch]:
        """The rows of a whole result; a generator runs here."""
        with boundary(self.file, self.root, self.place):
            yield from self._guarded(batches(result))

    def _guarded(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        while (batch := next(rows, None)) is not None:
            yield batch


def load(transform: Transform, root: str) -> UserFunction:
    """Import the transform's file afresh; its folder and the mesh folder are importable from it.

    Raises TransformError: the file has no `transform`, raises on import, or asks for a form there is not.
    """
    shown = transform.python_file or "transform.py"
    path = Path(root) / shown
    with boundary(shown, root):
        module = _import(path, root)
    target: Any = vars(module).get("transform")
    if not callable(target):
        raise TransformError(
            f"{shown} defines no function or class `transform`",
            hint="def transform(batch: pa.Table) -> pa.Table: …",
            spans=(SourceSpan(shown),),
        )
    with boundary(shown, root):
        call: Any = target() if inspect.isclass(target) else target
    place = _definition(target, shown)
    with boundary(shown, root, place):
        forms = _forms(call, vars(module))
    return UserFunction(call, forms, shown, root, place)


def importable(folders: list[str]) -> None:
    """Put folders in front of sys.path."""
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _import(path: Path, root: str) -> Any:
    path = path.resolve()
    importable([str(path.parent), str(Path(root).resolve())])
    name = f"raymesh_transform_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TransformError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up
    spec.loader.exec_module(module)
    return module


def _forms(call: Callable[..., Any], names: dict[str, Any]) -> dict[str, Form]:
    """The form of every parameter without a default."""
    parameters = inspect.signature(call).parameters.values()
    return {p.name: form_of(p.annotation, names) for p in parameters if p.default is inspect.Parameter.empty}


def _definition(target: Any, file: str) -> SourceSpan:
    """Where `transform` is defined, its decorators left out."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(target))
    except (OSError, TypeError):  # made at run time
        return SourceSpan(file)
    ahead = next(
        (i for i, line in enumerate(lines) if line.lstrip().startswith(("def ", "class ", "async "))), 0
    )
    return SourceSpan(file, max(first, 1) + ahead)


@contextmanager
def boundary(file: str, root: str, place: SourceSpan | None = None) -> Iterator[None]:
    """Anything user code raises leaves as a TransformError with the user's own frames; what we find wrong
    with its result is said of `place`."""
    try:
        yield
    except TransformError as error:
        error.spans = error.spans or ((place,) if place else ())
        raise
    except MeshError:
        raise
    except GeneratorExit:
        raise
    except MemoryError as error:
        raise _blamed(TransformMemoryError, error, file, root, "ran out of memory") from error
    except BaseException as error:  # SystemExit and KeyboardInterrupt of user code too: it is not our exit
        raise _blamed(TransformError, error, file, root) from error


def _blamed(
    kind: type[TransformError], error: BaseException, file: str, root: str, said: str | None = None
) -> TransformError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename, root, file)]
    shown = _sentence(error)
    spans = tuple(_span(f, root, file) for f in frames[-1:]) or (SourceSpan(file),)
    ending = [f"{shown}\n"]
    if isinstance(error, SyntaxError) and error.filename:
        spans = (SourceSpan(_shown(error.filename, root, file), error.lineno or 1, error.offset or 1),)
        ending = traceback.format_exception_only(error)
    text = "".join([*traceback.format_list(frames), *ending])
    return kind(f"{file}: {said or shown}", hint=_way_out(error), spans=spans, traceback_text=text)


def _sentence(error: BaseException) -> str:
    message = Report.of(error).message if isinstance(error, duckdb.Error) else str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _way_out(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"install {error.name} in the environment raymesh runs in, or put {error.name}.py into the mesh"
        )
    if isinstance(error, MemoryError):
        return "raise resources.memory of the product, or make the function a @batch transform"
    return None


def _span(frame: traceback.FrameSummary, root: str, file: str) -> SourceSpan:
    column = (frame.colno or 0) + 1
    return SourceSpan(_shown(frame.filename, root, file), frame.lineno or 1, column)


def _is_users(filename: str, root: str, file: str) -> bool:
    path = os.path.realpath(filename)
    if path.startswith(_OURS + os.sep) or any(part in path for part in _LIBRARIES):
        return False
    return path.startswith(os.path.realpath(root) + os.sep) or path == os.path.realpath(Path(root) / file)


def _shown(filename: str, root: str, file: str) -> str:
    path = os.path.realpath(filename)
    if path == os.path.realpath(Path(root) / file):
        return file
    return os.path.relpath(path, os.path.realpath(root))

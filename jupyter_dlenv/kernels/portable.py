"""Values as bytes that hold no code, and back: what goes into an environment and comes out.

This file runs on both sides, inside as text: standard library only, Python 3.8.  What is read
may come from a stranger: nothing here imports, calls or unpickles what the bytes name, unless
``pickled`` allows it.
"""

from __future__ import annotations

import datetime
import json
import pickle
import sys
from typing import Any, Callable, Dict, List, Sequence, Tuple

_PLAIN = (type(None), bool, int, float, str)
_LISTS: Dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
_DEEPEST = 100


def encode(value: Any, *, pickled: bool = False) -> List[Any]:
    """Return a value as buffers: the first describes it, the others are what is large.

    Raises:
        TypeError: It is not of a kind that can be written without pickle.
    """
    buffers: List[Any] = []
    tree = _pickle(value, buffers) if pickled else _encode(value, buffers, 0)
    return [json.dumps(tree).encode(), *buffers]


def decode(buffers: Sequence[Any], *, pickled: bool = False) -> Any:
    """Return the value.

    Raises:
        ValueError: The buffers are malformed, or need pickle and may not.
    """
    try:
        return _decode(json.loads(bytes(buffers[0])), buffers[1:], pickled)
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("What arrived is malformed: %r" % error) from error


def _encode(value: Any, buffers: List[Any], depth: int) -> Any:
    if depth > _DEEPEST:
        raise TypeError("It is nested too deeply, or holds itself.")
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind.__name__ in _LISTS and kind is _LISTS[kind.__name__]:
        return {kind.__name__: [_encode(item, buffers, depth + 1) for item in value]}
    if kind is dict:
        return {"dict": [[_encode(x, buffers, depth + 1) for x in pair] for pair in value.items()]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind in (bytes, bytearray):
        return {kind.__name__: _add(value, buffers)}
    if kind in (datetime.datetime, datetime.date, datetime.time):
        return {kind.__name__: value.isoformat()}
    # Not imported here: a value of theirs can only be there if they are.
    for name, writer in (("numpy", _numpy), ("pandas", _pandas)):
        if kind.__module__.partition(".")[0] == name and name in sys.modules:
            node = writer(sys.modules[name], value, buffers, depth)
            if node is not None:
                return node
    raise TypeError("A %s.%s cannot be written without pickle." % (kind.__module__, kind.__name__))


def _numpy(numpy: Any, value: Any, buffers: List[Any], depth: int) -> Any:
    if isinstance(value, numpy.generic):
        return {"scalar": _numpy(numpy, numpy.asarray(value), buffers, depth)["ndarray"]}
    if type(value) is not numpy.ndarray or value.dtype.hasobject:
        return None
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    flat = value.T if fortran else numpy.ascontiguousarray(value)
    # As bytes: not every type of NumPy is one that a buffer may have.
    data = flat.reshape(-1).view(numpy.uint8) if value.dtype.itemsize and value.size else b""
    return {
        "ndarray": {
            "dtype": numpy.lib.format.dtype_to_descr(value.dtype),
            "shape": list(value.shape),
            "order": "F" if fortran else "C",
            "buffer": _add(data, buffers),
        }
    }


def _pandas(pandas: Any, value: Any, buffers: List[Any], depth: int) -> Any:
    def column(series: Any) -> Any:
        array = series.to_numpy()
        # As plain values, other kinds of pandas' own would come out as something else.
        if not isinstance(series.dtype, (sys.modules["numpy"].dtype, pandas.StringDtype)):
            raise TypeError("pandas' %s cannot be written without pickle." % series.dtype)
        plain = array.tolist() if array.dtype.hasobject else array
        return _encode(plain, buffers, depth + 1)

    def index(labels: Any) -> Any:
        if isinstance(labels, pandas.RangeIndex):
            return {"range": [labels.start, labels.stop, labels.step]}
        if isinstance(labels, pandas.MultiIndex):
            raise TypeError("A pandas.MultiIndex cannot be written without pickle.")
        return {"values": column(labels.to_series()), "name": _encode(labels.name, [], 0)}

    if type(value) is pandas.Series:
        node = {"values": column(value), "name": _encode(value.name, [], 0)}
        return {"series": {**node, "index": index(value.index)}}
    if type(value) is pandas.DataFrame:
        columns = [column(value.iloc[:, number]) for number in range(value.shape[1])]
        labels = index(value.columns)
        return {"frame": {"columns": columns, "labels": labels, "index": index(value.index)}}
    return None


def _pickle(value: Any, buffers: List[Any]) -> Any:
    outside: List[Any] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=lambda b: outside.append(b.raw()))
    return {"pickle": [_add(part, buffers) for part in [data, *outside]]}


def _add(data: Any, buffers: List[Any]) -> int:
    buffers.append(data)
    return len(buffers) - 1


def _decode(tree: Any, buffers: Sequence[Any], pickled: bool) -> Any:
    # A list would have said its kind.
    if type(tree) in _PLAIN:
        return tree
    ((kind, content),) = tree.items()
    if kind in _LISTS:
        return _LISTS[kind](_decode(item, buffers, pickled) for item in content)
    if kind == "dict":
        return {_decode(k, buffers, pickled): _decode(v, buffers, pickled) for k, v in content}
    if kind == "complex":
        return complex(*content)
    if kind in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[kind](_buffer(buffers, content))
    if kind in ("datetime", "date", "time"):
        return getattr(datetime, kind).fromisoformat(content)
    if kind == "ndarray":
        return _read_array(content, buffers)
    if kind == "scalar":
        return _read_array(content, buffers)[()]
    if kind in ("series", "frame"):
        return _read_pandas(kind, content, buffers, pickled)
    if kind == "pickle" and pickled:
        data, *outside = [_buffer(buffers, number) for number in content]
        return pickle.loads(data, buffers=[bytearray(part) for part in outside])
    if kind == "pickle":
        raise ValueError("It was pickled, and is not unpickled unasked.")
    raise ValueError("What arrived is malformed: %r is no kind of value." % kind)


def _read_array(content: Dict[str, Any], buffers: Sequence[Any]) -> Any:
    import numpy

    described = content["dtype"]
    dtype = numpy.dtype(described) if isinstance(described, str) else _dtype(numpy, described)
    if dtype.hasobject:
        raise ValueError("What arrived is malformed: an array of objects.")
    data = _buffer(buffers, content["buffer"])
    shape = tuple(int(length) for length in content["shape"])
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != len(data) or min(shape, default=0) < 0:
        raise ValueError("What arrived is malformed: an array of another size.")
    array = numpy.empty(shape, dtype, order="F" if content["order"] == "F" else "C")
    if len(data):
        # Copied: what arrived cannot be written to.
        target = array.T if content["order"] == "F" else array
        target.reshape(-1).view(numpy.uint8)[:] = numpy.frombuffer(data, numpy.uint8)
    return array


def _dtype(numpy: Any, described: Any) -> Any:
    fields: List[Tuple[Any, ...]] = []
    for name, kind, *shape in described:
        inner = kind if isinstance(kind, str) else _dtype(numpy, kind)
        label = tuple(name) if isinstance(name, list) else name
        fields.append((label, inner, *[tuple(length) for length in shape]))
    return numpy.lib.format.descr_to_dtype(fields) if fields else numpy.dtype([])


def _read_pandas(kind: str, content: Dict[str, Any], buffers: Sequence[Any], pickled: bool) -> Any:
    import pandas

    def index(node: Dict[str, Any]) -> Any:
        if "range" in node:
            return pandas.RangeIndex(*[int(number) for number in node["range"]])
        labels = _decode(node["values"], buffers, pickled)
        return pandas.Index(labels, name=_decode(node["name"], buffers, pickled))

    rows = index(content["index"])
    if kind == "series":
        values = _decode(content["values"], buffers, pickled)
        return pandas.Series(values, rows, name=_decode(content["name"], buffers, pickled))
    columns = [_decode(column, buffers, pickled) for column in content["columns"]]
    frame = pandas.DataFrame(dict(enumerate(columns)), rows)
    frame.columns = index(content["labels"])
    return frame


def _buffer(buffers: Sequence[Any], number: Any) -> Any:
    if not isinstance(number, int) or number < 0:
        raise ValueError("What arrived is malformed: no such buffer.")
    return memoryview(buffers[number]).cast("B")

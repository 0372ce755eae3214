"""A replaced or damaged skops file is refused in words; no code that it names runs."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cryptoml.errors import AccessError, DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import (
    Node,
    call_node,
    copy_of,
    dict_node,
    edit_array,
    edit_schema,
    members,
    node,
    node_arrays,
    text_node,
    tuple_node,
    write_members,
)


def _canary(folder: Path) -> tuple[Path, str]:
    canary = folder / "canary"
    return canary, f"open({str(canary)!r}, 'w').close()"


def _hostile_nodes(code: str, command: str) -> dict[str, Node]:
    """Nodes that run code when skops builds them, or when the model forecasts."""
    function = node("FunctionNode", "builtins", "exec", 850)
    partial = {
        "func": node("TypeNode", "builtins", "exec", 851),
        "args": tuple_node([text_node(code, 852)], 853),
        "kwds": dict_node({}, 854),
        "namespace": dict_node({}, 860),
    }
    return {
        "exec": call_node("builtins", "exec", code),
        "eval": call_node("builtins", "eval", f"exec({code!r})"),
        "getattr": call_node("builtins", "getattr", "x", "upper"),
        "os.system": call_node("os", "system", command),
        "posix.system": call_node("posix", "system", command),
        "subprocess.Popen": call_node("subprocess", "Popen", ["sh", "-c", command]),
        "object of subprocess": node("ObjectNode", "subprocess", "Popen", 855),
        "joblib": call_node("joblib.numpy_pickle", "load", "x"),
        "numpy.load": call_node("numpy", "load", "x"),
        "numpy distutils": call_node("numpy.testing._private.utils", "runstring", code, {}),
        "type exec": node("TypeNode", "builtins", "exec", 856),
        "function exec": function,
        "partial": node("PartialNode", "functools", "partial", 857, content=partial),
        "method": node("MethodNode", "builtins", "str", 858, content={"func": "format", "obj": text_node("x", 859)}),
        "attrgetter": node("OperatorFuncNode", "operator", "attrgetter", 861, attrs=tuple_node([], 862)),
        "methodcaller": node("OperatorFuncNode", "operator", "methodcaller", 863, attrs=tuple_node([], 864)),
        "defaultdict": node("DefaultDictNode", "collections", "defaultdict", 865, content={}),
        "list loaded as exec": node("ListNode", "builtins", "exec", 866, content=[]),
        "dict loaded as exec": node("DictNode", "builtins", "exec", 867, content={}, key_types=text_node(None, 868)),
        "array loaded as exec": node("NdArrayNode", "builtins", "exec", 869, type="numpy", file="1.npy"),
        "trusted type of another loader": node("ConstructorFromReduceNode", "builtins", "str", 870),
        "pipeline": node("ObjectNode", "sklearn.pipeline", "Pipeline", 871, content=text_node(None, 872)),
        "function of scikit-learn": node("ObjectNode", "sklearn.tree", "export_text", 873),
        "scipy ufunc": node("FunctionNode", "scipy.special", "expit", 874),
        "bytes": node("BytesNode", "builtins", "bytes", 875, file="1.bin"),
        "no such loader": node("EvilNode", "builtins", "str", 876),
        "cached": node("CachedNode", "builtins", "str", 877),
    }


FILES = (("ridge", "estimator.skops"), ("ridge", "scaler.skops"), ("gbm-exact", "estimator.skops"))


@pytest.mark.parametrize(("example", "file"), FILES)
def test_no_code_runs(example: str, file: str, tmp_path: Path) -> None:
    canary, code = _canary(tmp_path)
    folder = copy_of(example, tmp_path)
    kept = (folder / file).read_bytes()
    for kind, hostile in _hostile_nodes(code, f"touch {canary}").items():
        for attribute in ("n_features_in_", ""):
            (folder / file).write_bytes(kept)

            def edit(schema: Node, hostile: Node = hostile, attribute: str = attribute) -> Node | None:
                if not attribute:
                    return dict(hostile)
                return schema["content"]["content"].update({attribute: hostile})

            edit_schema(folder / file, edit)
            with pytest.raises(AccessError, match="code that is not trusted") as caught:
                load_forecaster(folder)
            assert f"{hostile['__module__']}.{hostile['__class__']}" in caught.value.fact, kind
            assert not canary.exists(), kind


def test_a_model_of_another_type_is_foreign(tmp_path: Path) -> None:
    folder, forest = copy_of("ridge", tmp_path), copy_of("rf-sklearn", tmp_path)
    (forest / "estimator.skops").replace(folder / "estimator.skops")
    with pytest.raises(AccessError, match=r"sklearn\.ensemble\._forest\.RandomForestRegressor"):
        load_forecaster(folder)


def _replaced(schema: Node, name: str, value: Node) -> None:
    attributes = schema["content"]
    if name not in attributes["content"]:
        attributes["key_types"]["content"].append(attributes["key_types"]["content"][0])
    attributes["content"][name] = value


DAMAGED: dict[str, Callable[[Node], Node | None]] = {
    "no protocol": lambda schema: schema.update(protocol=None),
    "old protocol": lambda schema: schema.update(protocol=0),
    "newer protocol": lambda schema: schema.update(protocol=99),
    "no id": lambda schema: schema.pop("__id__") and None,
    "unknown key": lambda schema: schema.update(extra={}),
    "no content": lambda schema: schema.pop("content") and None,
    "list for a node": lambda schema: _replaced(schema, "alpha", []),  # type: ignore[arg-type]
    "nested value": lambda schema: _replaced(schema, "alpha", text_node([1], 800)),
    "special attribute": lambda schema: _replaced(schema, "__class__", text_node(1, 800)),
    "number in place of a method": lambda schema: _replaced(schema, "predict", text_node(1, 800)),
    "array that is not there": lambda schema: _replaced(
        schema, "coef_", node("NdArrayNode", "numpy", "ndarray", 800, type="numpy", file="1.npy")
    ),
    "schema as an array": lambda schema: _replaced(
        schema, "coef_", node("NdArrayNode", "numpy", "ndarray", 800, type="numpy", file="schema.json")
    ),
    "two contents of one id": lambda schema: _replaced(
        schema, "coef_", text_node("x", schema["content"]["content"]["alpha"]["__id__"])
    ),
    "cycle": lambda schema: _replaced(schema, "coef_", {**text_node("x", schema["__id__"])}),
    "no coefficients": lambda schema: _replaced(schema, "coef_", text_node(None, 800)),
    "other number of features": lambda schema: _replaced(schema, "n_features_in_", text_node(3, 800)),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_schema_is_a_data_error(kind: str, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    edit_schema(folder / "estimator.skops", DAMAGED[kind])
    with pytest.raises(DataError):
        load_forecaster(folder)


def _zip(*names: str, flag: int = 0, mode: int = 0, **more: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = members(path)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
            for name in names:
                extra = zipfile.ZipInfo(name)
                extra.external_attr = mode << 16
                archive.writestr(extra, b"x")

    return write


def _encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def _wrong_crc(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 16] ^= 0xFF
    path.write_bytes(data)


def _bomb(path: Path) -> None:
    content = members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        with archive.open("1.npy", "w") as member:
            for _ in range(100):
                member.write(bytes(2**20))


def _declares_more(path: Path) -> None:
    content = members(path)
    name = next(one for one in content if one.endswith(".npy"))
    header = content[name].replace(b"(32,)", b"(9999999999999,)", 1).replace(b"()", b"(9999999999999,)", 1)
    write_members(path, {**content, name: header})


def _objects(path: Path) -> None:
    import io

    content = members(path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    write_members(path, {**content, "1.npy": buffer.getvalue()})


ARCHIVES: dict[str, tuple[type[Exception], Callable[[Path], object]]] = {
    "empty": (DataError, lambda path: path.write_bytes(b"")),
    "garbage": (DataError, lambda path: path.write_bytes(os.urandom(500))),
    "pickle": (DataError, lambda path: path.write_bytes(pickle.dumps([1, 2, 3]))),
    "truncated": (DataError, lambda path: path.write_bytes(path.read_bytes()[:-30])),
    "cut in half": (DataError, lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "wrong checksum": (DataError, _wrong_crc),
    "missing": (DataError, lambda path: path.unlink()),
    "folder": (DataError, lambda path: (path.unlink(), path.mkdir())),
    "named pipe": (DataError, lambda path: (path.unlink(), os.mkfifo(path))),
    "no schema": (DataError, lambda path: write_members(path, {"1.npy": b"x"})),
    "schema of another kind": (DataError, lambda path: write_members(path, {"schema.json": b"[]"})),
    "deep schema": (DataError, lambda path: write_members(path, {"schema.json": b"[" * 100_000})),
    "array with a huge shape": (DataError, _declares_more),
    "array of objects": (AccessError, _objects),
    "zip in place of an array": (DataError, lambda path: write_members(path, {**members(path), "1.npy": b"PK\3\4"})),
    "pickle in place of an array": (
        DataError,
        lambda path: write_members(path, {**members(path), "1.npy": pickle.dumps([1] * 100)}),
    ),
    "parent folder": (AccessError, _zip("../1.npy")),
    "absolute": (AccessError, _zip("/tmp/1.npy")),
    "backslash": (AccessError, _zip("..\\1.npy")),
    "pickle beside": (AccessError, _zip("1.pkl")),
    "symbolic link inside": (AccessError, _zip("1.npy", mode=stat.S_IFLNK | 0o777)),
    "encrypted": (AccessError, _encrypted),
    "bomb": (AccessError, _bomb),
    "symbolic link": (AccessError, lambda path: path.rename(path.with_name("x")) and path.symlink_to("x")),
    "dangling link": (AccessError, lambda path: (path.unlink(), path.symlink_to("nowhere"))),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_skops_would_not_write_is_refused(kind: str, tmp_path: Path) -> None:
    expected, damage = ARCHIVES[kind]
    for file in ("estimator.skops", "scaler.skops"):
        if (file, kind) == ("scaler.skops", "missing"):
            continue  # A model may have no scaler.
        folder = copy_of("ridge", tmp_path / file)
        damage(folder / file)
        with pytest.raises(expected) as caught:
            load_forecaster(folder)
        assert file in caught.value.fact  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members_are_refused(tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    _zip("schema.json")(folder / "estimator.skops")
    with pytest.raises(AccessError, match="the same name"):
        load_forecaster(folder)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of("ridge", tmp_path)
    _bomb(folder / "estimator.skops")

    def unpack(*ignored: object, **more: object) -> bytes:
        raise AssertionError("a member was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", unpack)
    with pytest.raises(AccessError, match="times as many"):
        load_forecaster(folder)


@pytest.mark.parametrize("name", ["rf-sklearn", "gbm-exact", "gbm-hist"])
@pytest.mark.parametrize("case", ["beyond", "cycle", "negative", "feature", "empty"])
def test_tree_indices_are_checked(name: str, case: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    path = folder / "estimator.skops"
    left, right, feature = ("left", "right", "feature_idx") if name == "gbm-hist" else (
        "left_child", "right_child", "feature"
    )  # fmt: skip

    def edit(array: np.ndarray) -> np.ndarray | None:
        if case == "beyond":
            array[right][0] = 2**31 - 1
        elif case == "cycle":
            array[left][0] = 0
        elif case == "negative":
            array[left][0] = -5 if name != "gbm-hist" else 2**32 - 5
        elif case == "feature":
            array[feature][0] = 32
        else:
            return array[:0]
        return None

    edit_array(path, node_arrays(path)[-1], edit)
    with pytest.raises(DataError):
        load_forecaster(folder)


@pytest.mark.parametrize("name", ["rf-sklearn", "gbm-exact", "gbm-hist"])
def test_mutated_trees_never_end_the_process(name: str, tmp_path: Path) -> None:
    """Random bytes of node arrays change; what still loads must forecast without reading foreign memory."""
    copy_of(name, tmp_path)
    script = """
import random, sys, warnings
from pathlib import Path
import numpy as np
from cryptoml.errors import DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import edit_array, members, node_arrays, write_members
warnings.simplefilter("ignore")
folder, rng = Path(sys.argv[1]), random.Random(1)
path = folder / "estimator.skops"
kept = members(path)
rows = np.random.default_rng(0).normal(size=(50, 32)).astype("float32")
refused = 0
for _ in range(25):
    write_members(path, kept)
    def edit(array):
        data = array.view("u1").reshape(-1)
        for _ in range(2):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 255))
    edit_array(path, rng.choice(node_arrays(path)), edit)
    try:
        load_forecaster(folder).raw_return(rows)
    except DataError:
        refused += 1
print(refused)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / name)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 2


def test_a_model_of_pyfunc_runs_no_code_either(tmp_path: Path) -> None:
    from cryptoml.registry.stored_model import write_model_folder
    from cryptoml.tracking.quiet import import_mlflow

    import_mlflow()
    import mlflow.pyfunc

    canary, code = _canary(tmp_path)
    parts = copy_of("ridge", tmp_path)
    edit_schema(parts / "estimator.skops", lambda schema: call_node("builtins", "exec", code))
    write_model_folder(parts, tmp_path / "model", requirements=())
    with pytest.raises(AccessError, match="code that is not trusted"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert not canary.exists()


def test_the_schema_limit_holds_for_the_largest_forest() -> None:
    """5,000 trees, the most that rf may have, of which each takes what a tree of the example takes."""
    from cryptoml.models.safe_archive import MAX_RATIO, MAX_SCHEMA_BYTES
    from tests.hostile import EXAMPLES

    with zipfile.ZipFile(EXAMPLES / "rf-sklearn" / "estimator.skops") as archive:
        schema = archive.getinfo("schema.json")
    trees = json.loads((EXAMPLES / "rf-sklearn" / "forecaster.json").read_text())["params"]["n_estimators"]
    assert schema.file_size / trees * 5000 < MAX_SCHEMA_BYTES
    assert schema.file_size / schema.compress_size < MAX_RATIO / 4

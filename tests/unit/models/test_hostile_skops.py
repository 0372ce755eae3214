"""A skops file with untrusted code or a damaged schema is refused with a message, and its code does not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cryptoml.errors import AccessError, DataError
from cryptoml.models.forecaster import load_forecaster
from tests.hostile import (
    Node,
    call_node,
    copy_of,
    dict_node,
    edit_schema,
    node,
    text_node,
    tuple_node,
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
def test_untrusted_code_is_refused_and_does_not_run(example: str, file: str, tmp_path: Path) -> None:
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
            with pytest.raises(AccessError, match="untrusted code") as caught:
                load_forecaster(folder)
            assert f"{hostile['__module__']}.{hostile['__class__']}" in caught.value.fact, kind
            assert not canary.exists(), kind


def test_a_model_of_another_type_is_refused(tmp_path: Path) -> None:
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
    "different number of features": lambda schema: _replaced(schema, "n_features_in_", text_node(3, 800)),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_schema_is_a_data_error(kind: str, tmp_path: Path) -> None:
    folder = copy_of("ridge", tmp_path)
    edit_schema(folder / "estimator.skops", DAMAGED[kind])
    with pytest.raises(DataError):
        load_forecaster(folder)


def test_a_pyfunc_model_with_untrusted_code_is_refused(tmp_path: Path) -> None:
    from cryptoml.registry.stored_model import write_model_folder
    from cryptoml.tracking.store.quiet import import_mlflow

    import_mlflow()
    import mlflow.pyfunc

    canary, code = _canary(tmp_path)
    parts = copy_of("ridge", tmp_path)
    edit_schema(parts / "estimator.skops", lambda schema: call_node("builtins", "exec", code))
    write_model_folder(parts, tmp_path / "model", requirements=())
    with pytest.raises(AccessError, match="untrusted code"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert not canary.exists()

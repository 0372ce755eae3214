"""The kinds of requests that a fault can be aimed at, recognised by method and path."""

from __future__ import annotations

import re

ANY = "any"
_MLFLOW = r"\.mlflow/(?:ajax-)?api/[23]\.0/"
_FILES = r"\.dvc/files/md5/"

# Name -> method and path, the first that fits.
KINDS: dict[str, tuple[str, str]] = {
    "experiment-get": ("GET", _MLFLOW + r"mlflow/experiments/get"),
    "experiment-create": ("POST", _MLFLOW + r"mlflow/experiments/create"),
    "server-info": ("GET", _MLFLOW + r"mlflow/server-info"),
    "run-create": ("POST", _MLFLOW + r"mlflow/runs/create"),
    "run-search": ("POST", _MLFLOW + r"mlflow/runs/search"),
    "run-get": ("GET", _MLFLOW + r"mlflow/runs/get"),
    "run-update": ("POST", _MLFLOW + r"mlflow/runs/update"),
    "log-batch": ("POST", _MLFLOW + r"mlflow/runs/log-batch"),
    "run-tag": ("POST", _MLFLOW + r"mlflow/runs/set-tag"),
    "metric-history": ("GET", _MLFLOW + r"mlflow/metrics/get-history"),
    "artifact-list": ("GET", _MLFLOW + r"(mlflow/artifacts/list|mlflow-artifacts/artifacts(\?|$))"),
    "artifact-put": ("PUT", _MLFLOW + r"mlflow-artifacts/artifacts/"),
    "artifact-get": ("GET", _MLFLOW + r"mlflow-artifacts/artifacts/"),
    "model-create": ("POST", _MLFLOW + r"mlflow/registered-models/create"),
    "model-get": ("GET", _MLFLOW + r"mlflow/registered-models/(get|search)"),
    "model-delete": ("DELETE", _MLFLOW + r"mlflow/registered-models/delete(\?|$)"),
    "model-alias": ("POST|DELETE", _MLFLOW + r"mlflow/registered-models/alias"),
    "model-tag": ("POST|DELETE", _MLFLOW + r"mlflow/registered-models/(set|delete)-tag"),
    "version-create": ("POST", _MLFLOW + r"mlflow/model-versions/create"),
    "version-search": ("GET", _MLFLOW + r"mlflow/model-versions/search"),
    "version-get": ("GET", _MLFLOW + r"mlflow/model-versions/get"),
    "version-update": ("PATCH", _MLFLOW + r"mlflow/model-versions/update"),
    "version-tag": ("POST|DELETE", _MLFLOW + r"mlflow/model-versions/(set|delete)-tag"),
    "version-stage": ("POST", _MLFLOW + r"mlflow/model-versions/transition-stage"),
    "version-delete": ("DELETE", _MLFLOW + r"mlflow/model-versions/delete(\?|$)"),
    "dvc-head": ("HEAD", _FILES),
    "dvc-get": ("GET", _FILES),
    "dvc-post": ("POST|PUT", _FILES),
    "api-user": ("GET", r"^/api/v1/user(\?|$)"),
    "api-repo": ("GET|POST", r"^/api/v1/(repos|user/repos|org)"),
    "git": ("GET|POST", r"\.git/"),
}
_COMPILED = {name: (method.split("|"), re.compile(path)) for name, (method, path) in KINDS.items()}
WITH_BODY = frozenset(
    name for name, (method, _) in KINDS.items() if set(method.split("|")) & {"POST", "PUT", "PATCH"}
) - {"git", "api-repo"}


def kind_of(method: str, path: str) -> str:
    """The request's kind; "other" for what no command is known to need."""
    for name, (methods, pattern) in _COMPILED.items():
        if method in methods and pattern.search(path):
            return name
    return "other"

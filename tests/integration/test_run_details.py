"""What is read back from a run's artifacts, of this release and of the first one."""

from __future__ import annotations

import json
from pathlib import Path

from cryptoml.data.cleaning.quality import QualityReport
from cryptoml.tracking.run_details import METADATA, fetch_details, fetch_quality_reports
from cryptoml.tracking.store.store import open_store
from tests.lab import Lab


def test_runs_of_the_first_release_have_importance_and_quality_report_in_files(lab: Lab) -> None:
    run_id = lab.runs["ridge"]
    with open_store(lab.settings.mlflow_uri()) as store:
        details = fetch_details(store, run_id, "ridge")
        (report,) = fetch_quality_reports(store, run_id, "ridge")
        assert report is not None
        assert QualityReport.from_dict(report).interval == "1h"
        assert sum(details.importance.values()) > 0.99
        root = Path(store.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        kept = (root / METADATA).read_text()
        document = json.loads(kept)
        files = {
            root / "metadata" / "feature_importance.json": document.pop("feature_importance"),
            root / "data" / "quality_report.json": document.pop("quality_report"),
        }
        for path, content in files.items():
            path.write_text(json.dumps(content))
        (root / METADATA).write_text(json.dumps(document))
        try:
            earlier = fetch_details(store, run_id, "ridge")
            assert fetch_quality_reports(store, run_id, "ridge") == [report]
        finally:
            (root / METADATA).write_text(kept)
            for path in files:
                path.unlink()
    assert earlier.importance == details.importance
    assert earlier.folds == details.folds


def test_a_run_without_artifacts_has_no_details(lab: Lab) -> None:
    with open_store(lab.settings.mlflow_uri()) as store:
        run_id = store.client.create_run(store.experiment_id("empty")).info.run_id
        details = fetch_details(store, run_id, "empty")
        assert (details.predictions, details.folds, details.importance) == (None, (), {})
        assert fetch_quality_reports(store, run_id, "empty") == []

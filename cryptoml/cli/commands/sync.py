"""`cryptoml sync`: deliver what the tracking server did not take."""

from __future__ import annotations

from cryptoml.cli.options import AsJson


def sync(
    as_json: AsJson = False,
) -> None:
    """Deliver runs that are still in the journal, without doubling any; a run whose process died is FAILED."""
    from cryptoml.cli.console import listening, print_json_last, print_lines
    from cryptoml.settings import load_settings
    from cryptoml.workflows.sync import sync as deliver

    with listening() as listener:
        result = deliver(load_settings(), on_event=listener)
    if as_json:
        print_json_last(
            {
                "schema": "cryptoml.sync/1",
                "tracking_uri": result.tracking_uri,
                "delivered": [vars(one) for one in result.delivered],
                "left": result.left,
                "error": str(result.error) if result.error else None,
            }
        )
    else:
        lines = [f"{one.status.lower()}: {one.run_name} ({one.run_id})" for one in result.delivered]
        lines.append(
            f"{len(result.delivered)} run(s) delivered to {result.tracking_uri}, {result.left} left in the journal"
            if result.delivered or result.left
            else "nothing waits in the journal"
        )
        print_lines(lines)
    if result.error:
        raise result.error

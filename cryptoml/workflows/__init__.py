"""One use case a file: combines the layers below, reports progress to its caller, returns a frozen result."""

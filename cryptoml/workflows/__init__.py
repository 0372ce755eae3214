"""One use case a file: joins the rooms below, tells its caller what happens, returns a frozen result."""

"""``view``: results in the browser, served to this computer alone."""

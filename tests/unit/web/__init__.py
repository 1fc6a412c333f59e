"""The page, as far as it needs no browser: the guard of forms, controls, files, templates."""

"""The routes: each a function, with its body, limit, answer and errors declared above it (`web/route.py`).

    run.py      run programs, one or several, and stop them
    forms.py    the form with an archive that /run-zip takes
    fields.py   the fields that several bodies have
    sizes.py    how many bytes valid fields can take
    artifacts.py  files that programs have made
    history.py  what has been run
    me.py       who asks; signing in and out
    service.py  the page, and what this server is and can do

All but those that answer with a page or a file are declared; tests/unit/test_api_schema.py finds those that are not.
"""

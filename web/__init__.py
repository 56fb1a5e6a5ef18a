"""The HTTP door: everything between a socket and `executor.py`, apart from the routes, which are in `app.py`.

    requests.py   bytes and forms -> RunRequest, or InvalidRequest in words a person reads
    errors.py     the one table from exception to HTTP status and JSON body
    guards.py     who may ask: Host, Origin, and the headers every answer carries
    streaming.py  a run as server-sent events
    openapi.py    the description of the API that is served at /openapi.json
    logs.py       how log lines look
    server.py     waitress: bounds before reading, JSON for its own errors, draining on SIGTERM

Import rule: modules here know `executor` and `sandbox`, never the other way round.
"""

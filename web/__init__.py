"""The HTTP door: everything between a socket and `executor.py`.

    routes/         the routes
    route.py        what a route declares of itself: body, limit, answer, errors
    reading.py      bodies and queries against their models, or InvalidRequest in words a person reads
    errors.py       the one table from exception to HTTP status and JSON body
    callers.py      whose request it is
    cookies.py      the cookie that says who a browser is
    guards.py       who may ask: Host, Origin, and the headers every answer carries
    proxies.py      whose request it is that a proxy passes on
    assets.py       the page's files, under addresses that browsers may keep
    streaming.py    a run as server-sent events
    openapi.py      the description of the API that is served at /openapi.json
    metrics.py      what Prometheus is told
    logs.py         how log lines look
    serving/        the listening server

Who may import whom is a table in tests/unit/test_layout.py.
"""

"""The listening server, and everything in this project that knows waitress's insides. Knows no route, and no Flask.

    parser.py       one request as it arrives: bounds before reading, and by when it must be complete
    bodies.py       the room that bodies share
    channel.py      one connection: JSON for waitress's own errors, clients that dawdle
    connections.py  all of them, and which one goes for a new one
    dispatcher.py   the threads that serve requests
    server.py       listening, serving, draining on SIGTERM

How large the body of a request may be is handed in, as a function from its path to bytes.
"""

WAITRESS = "3.0.2"
"""The version whose source was read; `tests/unit/test_waitress.py` says what to look at when another is installed."""

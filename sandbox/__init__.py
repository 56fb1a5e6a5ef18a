"""Runs one untrusted program in one container, and everything that takes. Knows nothing of HTTP.

Read in this order: `models` (what travels), `settings` (every knob), `languages`, `intake` (what comes in),
`engine` (the docker client), `box` (one container's life) with `guest` (its other end, inside). `executor.py`, one
folder up, ties them together.

Each module imports its own folder or one of a lower rank; `tests/unit/test_layout.py` has the ranks.
"""

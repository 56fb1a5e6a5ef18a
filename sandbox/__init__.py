"""Everything between `executor.py` and the docker client.

Read in this order: `models` (what travels), `settings` (every knob), `docker_command` (the flags),
`protocol` (what host and supervisor say), `container` (one container, start to removal),
`guest/supervisor.py` (its other end, inside), `pool`, `admission`, `classify`. Beside that line stand
`archive`, `entry`, `inputs`, `languages`, `history`, `instance` and `engine`.

Import rule: nothing here imports Flask, a route or a command line; `guest/` imports nothing but the
standard library, and nothing on the host imports `guest/`.
"""

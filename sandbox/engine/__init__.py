"""The container engine, as far as it can be known and used by calling its client.

    client      the one place where the sandbox starts a process: the docker client
    complaints  what the client says when it fails -> an error of ours
    flags       limits -> the words of `docker run`, each with its reason
    image       the image that programs run in: is it there, build it
    instance    whose containers are whose; sweeping a dead server's
    facts       what the engine says of itself
    doctor      `python -m sandbox.engine.doctor`: do its limits really hold?

Nothing here knows of runs, languages or HTTP.
"""

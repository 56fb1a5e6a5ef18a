"""Runs programs inside the sandbox's image as anybody would: `python3 file.py`, `node file.js`, one at a time.

PID 1 of a container of its own, as root with the supervisor's capabilities; shares no code with the supervisor.
Reads one program per line as JSON, answers each with a line of JSON. Standard library only; nothing here is
imported.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

NOBODY = 65534
APP = "/app"


def write_files(files):
    for name, content in files.items():
        path = os.path.join(APP, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(content))


def remove_files():
    for folder in (APP, "/dev/shm"):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)


def pipes():
    """Three pipes that belong to the program's user, as the ones that docker makes for `--user` do."""
    os.seteuid(NOBODY)
    made = [os.pipe() for _ in range(3)]
    os.seteuid(0)
    return made


def drain(descriptor, into):
    with open(descriptor, "rb") as file:
        into.append(file.read())


def compile(program):
    """As root, who alone may write to /exe."""
    words = [word.replace("/dev/shm/program", "/exe/program") for word in program["compiler"]]
    subprocess.run(words, env={**program["environment"], "TMPDIR": "/dev/shm"}, cwd=APP, check=True)


def run(program):
    (stdin, feed), (out, stdout), (err, stderr) = pipes()
    process = subprocess.Popen(
        program["command"],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=program["environment"],
        cwd=APP,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        start_new_session=True,
    )
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    collected = [], []
    threads = [threading.Thread(target=drain, args=pair) for pair in zip((out, err), collected, strict=True)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(BrokenPipeError), open(feed, "wb", buffering=0) as file:
        file.write(base64.b64decode(program["stdin"]))
    try:
        exit_code = process.wait(20)
    except subprocess.TimeoutExpired:
        exit_code = None
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # the whole container but ourselves
    process.wait()
    for thread in threads:
        thread.join()
    return [*(base64.b64encode(data[0]).decode() for data in collected), exit_code]


def main():
    shutil.copyfile("/sandbox/passwd", "/etc/sandbox/passwd")
    for line in sys.stdin:
        program = json.loads(line)
        write_files(program["files"])
        if program["compiler"]:
            compile(program)
        print(json.dumps(run(program)), flush=True)
        remove_files()


main()

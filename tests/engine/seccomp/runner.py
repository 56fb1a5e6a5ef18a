"""Runs inside the container in the supervisor's place: as its root, with the supervisor's four capabilities.

Does once what the supervisor does, steps down to nobody for good, then runs the probes and every program.
Reads a plan as JSON from stdin, prints answers as JSON. Standard library only; nothing here is imported.
"""

import concurrent.futures
import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys

NOBODY = 65534
PR_CAPBSET_DROP = 24
SUFFIXES = {"python": ".py", "node": ".js"}
INTERPRETERS = {"python": [sys.executable], "node": ["node"]}


def write_programs(programs):
    paths = {}
    for number, (title, source) in enumerate(programs.items()):
        paths[title] = f"/app/program{number}" + SUFFIXES[title.split(":")[0]]
        with open(paths[title], "w") as file:
            file.write(source)
    return paths


def step_down():
    """The supervisor's own calls; the capability sets that are left, and how a killed child of nobody ended."""
    shutil.copyfile("/sandbox/passwd", "/etc/sandbox/passwd")
    os.mkfifo("/app/fifo")
    os.chmod("/app/fifo", 0o644)
    os.rename("/app/fifo", "/app/renamed")
    child = subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY, extra_groups=[])
    child.kill()
    steps = {"killed": child.wait()}
    libc = ctypes.CDLL(None, use_errno=True)
    capability = 0
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Cap"):
                name, value = line.split(":")
                steps[name] = value.strip()
    return steps


def run(*argv):
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=40, cwd="/app"
    )
    return {"stdout": done.stdout, "stderr": done.stderr, "exit_code": done.returncode}


def main():
    plan = json.load(sys.stdin)
    paths = write_programs(plan["programs"])
    machine = platform.machine()
    answers = {"machine": machine, "steps": step_down()}
    answers["probes"] = run(sys.executable, "-I", "-c", plan["probes"], json.dumps(plan["numbers"][machine]))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {title: pool.submit(run, *INTERPRETERS[title.split(":")[0]], path) for title, path in paths.items()}
        answers["programs"] = {title: future.result() for title, future in futures.items()}
    print(json.dumps(answers))


main()

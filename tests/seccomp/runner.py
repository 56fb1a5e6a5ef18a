import concurrent.futures, ctypes, json, os, platform, resource, signal, subprocess, sys
plan = json.load(sys.stdin)
libc = ctypes.CDLL(None, use_errno=True)
os.mkfifo("/app/fifo"); os.chmod("/app/fifo", 0o644); os.rename("/app/fifo", "/app/fifo2")
names = {}
for number, (title, source) in enumerate(plan["programs"].items()):
    names[title] = f"/app/program{number}" + (".py" if title.startswith("python") else ".js")
    with open(names[title], "w") as file: file.write(source)
lowered = subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[])
resource.prlimit(os.getpid(), resource.RLIMIT_CORE, (0, 0))
lowered.kill()
steps = {"killed": lowered.wait()}
capability = 0
while libc.prctl(24, capability, 0, 0, 0) == 0: capability += 1
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
with open("/proc/self/status") as file: steps |= {k: v.strip() for k, v in (line.split(":", 1) for line in file) if k.startswith("Cap")}
os.chdir("/app")
def run(*argv, seconds=40):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds)
    return {"stdout": done.stdout, "stderr": done.stderr, "exit_code": done.returncode}
answers = {"machine": platform.machine(), "steps": steps}
answers["probes"] = run(sys.executable, "-I", "-c", plan["probes"], json.dumps(plan["numbers"][platform.machine()]), str(plan["newer"]))
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    interpreters = {"python": [sys.executable], "node": ["node"]}
    futures = {title: pool.submit(run, *interpreters[title.split(":")[0]], name) for title, name in names.items()}
    answers["programs"] = {title: future.result() for title, future in futures.items()}
print(json.dumps(answers))

/** The example programs: what works, and what the sandbox must stop. */

/** @typedef {{id: string, label: string, language: "python" | "node", code: string}} Snippet */

/** Of no use to anybody but to see the limit at work: more than 5000 characters. */
const tooLong = () => `# A program longer than the limit.\n${"print('x' * 60)  # filling\n".repeat(220)}`;

/** @type {Snippet[]} */
export const snippets = [
  { id: "hello", label: "Hello", language: "python", code: `print("Hello, world!")\n` },
  { id: "arithmetic", label: "Arithmetic", language: "python", code: `print(5 + 3)\nprint(2 ** 100)\nprint(22 / 7)\n` },
  {
    id: "loop",
    label: "Loop",
    language: "python",
    code: `import time\n\nfor number in range(1, 6):\n    print(f"{number} squared is {number * number}")\n    time.sleep(0.3)\n`,
  },
  { id: "infinite-loop", label: "Infinite loop", language: "python", code: `while True:\n    pass\n` },
  {
    id: "memory-bomb",
    label: "Memory bomb",
    language: "python",
    code: `blocks = []\nwhile True:\n    blocks.append("x" * 10_000_000)\n`,
  },
  {
    id: "network",
    label: "Network",
    language: "python",
    code: `import urllib.request\n\nprint(urllib.request.urlopen("http://example.com", timeout=5).status)\n`,
  },
  { id: "passwd", label: "Read /etc/passwd", language: "python", code: `print(open("/etc/passwd").read())\n` },
  {
    id: "write-tmp",
    label: "Write /tmp",
    language: "python",
    code: `with open("/tmp/test.txt", "w") as file:\n    file.write("hello")\n`,
  },
  {
    id: "large-allocation",
    label: "Large allocation",
    language: "python",
    code: `data = "a" * 1_000_000_000\nprint(len(data))\n`,
  },
  { id: "node-hello", label: "Node hello", language: "node", code: `console.log("Hello from Node.js", process.version);\n` },
  {
    id: "node-loop",
    label: "Node loop",
    language: "node",
    code: `for (let number = 1; number <= 5; number++) {\n  console.log(\`\${number} squared is \${number * number}\`);\n}\n`,
  },
  {
    id: "node-network",
    label: "Node network",
    language: "node",
    code: `require("node:https")\n  .get("https://example.com", (answer) => console.log(answer.statusCode))\n  .on("error", (problem) => {\n    console.error(problem.message);\n    process.exitCode = 1;\n  });\n`,
  },
  { id: "too-long", label: "Over 5000 characters", language: "python", code: tooLong() },
];

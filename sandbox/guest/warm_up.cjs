'use strict';
// Loads what the first console.log would load, in a Node.js that waits for its program: a third to a half of what it
// would still have to do afterwards (docs/performance.md). NODE_OPTIONS (sandbox/languages) names this file; Node
// runs it first of all, then opens its script, a FIFO, and waits there.
//
// The program must not notice, so all traces are removed again, and nothing is touched that has effects of its own:
// process.stdout would switch descriptor 1 to another mode, so would looking for colours (process.stderr), and
// worker_threads replaces process.chdir.

const loaded = process.moduleLoadList.length;

// A Worker of the program inherits the option, which makes it come here too, but not the variable.
if (process.env.NODE_OPTIONS === `-r ${__filename}`) {
  delete process.env.NODE_OPTIONS;
  const { Console } = require('console');
  const { Socket } = require('net');
  const { Writable } = require('stream');
  new Socket();
  new Console({ stdout: new Writable({ write() {} }), colorMode: false }).log('%s', { a: [1, 'x'] });
}

process.moduleLoadList.length = loaded;
process._preload_modules.length = 0;
delete require.cache[__filename];
for (const request of Object.keys(module.constructor._pathCache)) {
  delete module.constructor._pathCache[request];
}

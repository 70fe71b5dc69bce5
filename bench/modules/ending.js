// Called by: bench/compile_cache.py.
// `ending.js HOW`: a small server that ends in one of several ways, or is ended. It says `up` when it listens.
'use strict';
const { flushCompileCache } = require('node:module');
const answer = require('./answer.js');
const how = process.argv[2];
const server = require('node:http').createServer(answer);
const handlers = {
  exits: () => process.exit(0),
  closes: () => server.close(),
  // As Nest's enableShutdownHooks() does.
  raises: () => server.close(() => process.kill(process.pid, 'SIGTERM')),
};
if (handlers[how]) process.once('SIGTERM', handlers[how]);
server.listen(0, '127.0.0.1', () => {
  require('node:fs').writeSync(1, 'up\n');
  if (how === 'exit 1') process.exit(1);
  if (how === 'throw') throw new Error('nobody catches this');
  if (how === 'end') server.close();
  if (how === 'flush') {
    flushCompileCache();
    require('node:fs').writeSync(1, 'flushed\n');
  }
  // Until the heap is full.
  for (const kept = []; how === 'heap'; ) kept.push(new Array(1000).fill(0).map((_, at) => ({ at })));
});

// The app of tests/vm/cgroups.
const generation = process.env.RESTARTINIT_GENERATION;
const kept = [];
function block() { for (;;); }
function grow() { kept.push(Buffer.alloc(8 << 20, 1)); setTimeout(grow, 200); }
process.on('SIGTERM', () => process.exit(0));
require('http').createServer((request, response) => {
  response.end(generation, () => ({ '/crash': () => process.exit(1), '/block': block, '/grow': grow })[request.url]?.());
}).listen(3000, '127.0.0.1', () => console.log('serves generation', generation));

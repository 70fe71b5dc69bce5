// The app of tests/vm/cgroups.
const generation = process.env.RESTARTINIT_GENERATION;
const kept = [];
function block() { for (;;); }
// Fast up to some 400 MB, then slowly, so that there is room for a successor when the limit of 480 is passed.
function grow() { kept.push(Buffer.alloc(8 << 20, 1)); setTimeout(grow, kept.length < 50 ? 200 : 1500); }
process.on('SIGTERM', () => process.exit(0));
require('http').createServer((request, response) => {
  response.end(generation, () => ({ '/crash': () => process.exit(1), '/block': block, '/grow': grow })[request.url]?.());
}).listen(3000, '127.0.0.1', () => console.log('serves generation', generation));

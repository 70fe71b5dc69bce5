// The server of the gap measurement: it boots for BOOT_MS, in which it keeps the processor busy as loading modules does, then answers
// each request with its pid.
const { createServer } = require('node:http');

const until = Date.now() + Number(process.env.BOOT_MS ?? 400);
while (Date.now() < until);

const body = String(process.pid);
const server = createServer((_, response) => {
  response.writeHead(200, { 'content-length': body.length, connection: 'close' });
  response.end(body);
});
server.listen(Number(process.env.PORT), '127.0.0.1');

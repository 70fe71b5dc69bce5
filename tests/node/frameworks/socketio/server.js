// As its page "Get started" has it, with Node's own http server: no handler for signals.
const { createServer } = require('node:http');
const { Server } = require('socket.io');

const generation = process.env.RESTARTINIT_GENERATION;
const http = createServer((request, response) => {
  if (request.url !== '/slow') return response.end(`ok ${generation}`);
  console.log('slow');
  setTimeout(() => response.end('ok slow'), Number(process.env.SLOW_MS ?? 500));
});
const io = new Server(http);
io.on('connection', (socket) => socket.on('word', (text, answer) => answer(generation)));

// With one: it closes the sockets of its clients and the server.
if (process.env.SHUTDOWN_HOOKS) process.on('SIGTERM', () => io.close());
http.listen(process.env.PORT);

// A small server as its users write it: `server.js express|fastify|koa|ws|https|plain PORT [KEY CERT]`. Answers after a few milliseconds, and
// finishes on TERM what it has begun. LEAKS in the environment: megabytes that it may leak, some with each request.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');

const [, , framework, port, key, cert] = process.argv;
const generation = process.env.RESTARTINIT_GENERATION;
const leaks = Number(process.env.LEAKS ?? 0) * 4;
const leaked = [];
let closing = false;

const work = async () => {
  if (leaked.length < leaks) leaked.push(Buffer.alloc(256 * 1024, 1));
  await new Promise((done) => setTimeout(done, Math.random() * 8));
  return `ok ${generation}`;
};

const crash = (how) => {
  if (how === 'exit') process.exit(1);
  setImmediate(() => {
    throw new Error('thrown on purpose');
  });
};

const serving = () => fs.writeSync(1, `serving ${generation}\n`);

// Connections that were accepted and have not asked yet.
const unasked = new Set();
let allAsked = () => {};

const asked = (socket) => {
  unasked.delete(socket);
  if (unasked.size === 0) allAsked();
};

const watch = (server, asks = 'request') => {
  server.on(server instanceof https.Server ? 'secureConnection' : 'connection', (socket) => {
    unasked.add(socket);
    socket.on('close', () => asked(socket));
  });
  return server.on(asks, (request) => asked(request.socket));
};

// Who has just connected and not asked yet is to be answered as well. Since its pull request 63470 Node closes such a connection in a
// server's close() and closeIdleConnections(): so a plain close first, and the rest once all have asked.
const stopAccepting = (server) => {
  closing = true;
  net.Server.prototype.close.call(server);
  return new Promise((done) => {
    allAsked = done;
    if (unasked.size === 0) done();
  });
};

const graceful = (server) =>
  process.on('SIGTERM', async () => {
    await stopAccepting(server);
    server.closeIdleConnections();
  });

const frameworks = {
  // What most apps do on TERM.
  plain() {
    const server = http.createServer(async (request, response) => {
      const text = await work();
      if (closing) response.setHeader('Connection', 'close');
      response.end(text);
    });
    server.listen(port, serving);
    process.on('SIGTERM', () => {
      closing = true;
      server.close();
    });
  },

  express() {
    const app = require('express')();
    app.get('/', async (request, response) => {
      const text = await work();
      if (closing) response.set('Connection', 'close');
      response.send(text);
    });
    app.get('/crash/:how', (request) => crash(request.params.how));
    graceful(watch(app.listen(port, serving)));
  },

  fastify() {
    const app = require('fastify')({ return503OnClosing: false });
    app.get('/', work);
    app.get('/crash/:how', (request) => crash(request.params.how));
    watch(app.server);
    app.listen({ port, host: '0.0.0.0' }).then(serving);
    app.addHook('preClose', () => stopAccepting(app.server));
    process.on('SIGTERM', () => app.close());
  },

  koa() {
    const app = new (require('koa'))();
    app.use(async (context) => {
      const [, what, how] = context.path.split('/');
      if (what === 'crash') return new Promise(() => crash(how));
      context.body = await work();
      if (closing) context.set('Connection', 'close');
    });
    graceful(watch(app.listen(port, serving)));
  },

  ws() {
    const { WebSocketServer } = require('ws');
    const server = http.createServer((request) => crash(request.url.split('/')[2]));
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('message', async () => {
        socket.send(await work());
        if (closing) socket.close(1001);
      });
    });
    server.listen(port, serving);
    graceful(watch(server, 'upgrade'));
  },

  https() {
    const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
    const server = https.createServer(tls, async (request, response) => {
      const [, what, how] = request.url.split('/');
      if (what === 'crash') return crash(how);
      const text = await work();
      if (closing) response.setHeader('Connection', 'close');
      response.end(text);
    });
    server.listen(port, serving);
    graceful(watch(server));
  },
};

fs.writeSync(1, `up ${generation} pid ${process.pid}\n`);
frameworks[framework]();

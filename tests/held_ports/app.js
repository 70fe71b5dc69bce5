// The apps of tests/it/held_ports.rs and its like: unmodified Node, by the name in argv[2]. Every HTTP server here answers with the
// generation's number, and does what the path says.
'use strict';
const dgram = require('dgram');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const net = require('net');

const [, , name, ...rest] = process.argv;
const generation = process.env.RESTARTINIT_GENERATION ?? '-';
const role = process.env.RESTARTINIT_ROLE ?? 'unset';
// One write a line: lines of two generations never mix.
const say = (text) => fs.writeSync(1, `${text}\n`);
const held = [];
const servers = [];

const does = {
  '': (response) => response.end(generation),
  exit: (response, code) => process.exit(Number(code)),
  throw: () => {
    throw new Error('thrown on purpose');
  },
  // Answered once USR2 comes.
  hold: (response) => {
    held.push(response);
    say(`holding ${generation}`);
  },
  close: (response, which) => {
    response.end(generation);
    servers[which].close();
  },
  listen: (response, which, port) => servers[which].listen(Number(port), () => response.end(generation)),
  // As many an app does on an error that it cannot handle: it cleans up, then leaves.
  fatal: (response, code) => {
    response.end(generation);
    for (const server of servers) server.close();
    setTimeout(() => process.exit(Number(code)), 300);
  },
  loop: () => {
    for (;;);
  },
};

const handle = (request, response) => {
  const [, what, ...which] = request.url.split('/');
  does[what](response, ...which);
};

// Since Node 26 a server's close() ends connections that were accepted and whose request it has not read yet: of each this app says so.
const unasked = new Set();

const watch = (server) => {
  server.on('connection', (socket) => {
    unasked.add(socket);
    socket.on('close', () => unasked.delete(socket));
  });
  server.on('request', (request) => unasked.delete(request.socket));
  const close = server.close;
  server.close = (...then) => {
    const open = [...unasked].filter((socket) => !socket.destroyed);
    close.apply(server, then);
    for (const socket of open) if (socket.destroyed) say(`cut off ${generation}`);
    return server;
  };
};

const open = (label, server, ...where) =>
  new Promise((done) => {
    servers.push(server);
    watch(server);
    server.listen(...where, () => {
      say(`${label} ${server.address().port ?? server.address()}`);
      done();
    });
  });

const serve = (label, ...where) => open(label, http.createServer(handle), ...where);
const serving = () => say(`serving ${generation}`);

// Boots no further until the file is there.
const until = (path) => {
  while (!fs.existsSync(path)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
};

process.on('SIGUSR2', () => {
  while (held.length > 0) held.pop().end(generation);
});

// With a line of shutdown code.
const graceful = () =>
  process.on('SIGTERM', () => {
    for (const server of servers) server.close();
  });

const apps = {
  // Every kind of socket at once.
  async everything() {
    const [folder, fixed, key, cert] = rest;
    const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
    const udp = (label, kind, where) =>
      new Promise((done) => {
        const socket = dgram.createSocket(kind, (message, from) => socket.send(generation, from.port, from.address));
        socket.bind(0, where, () => done(say(`${label} ${socket.address().port}`)));
      });
    fs.rmSync(`${folder}/unlinked.sock`, { force: true });
    await Promise.all([
      serve('any', 0),
      serve('four', 0, '127.0.0.1'),
      serve('six', 0, '::1'),
      serve('only-six', { port: 0, host: '::', ipv6Only: true }),
      serve('name', 0, 'localhost'),
      serve('fixed', Number(fixed)),
      serve('unix', `${folder}/app.sock`),
      serve('unlinked', `${folder}/unlinked.sock`),
      open('https', https.createServer(tls, handle), 0),
      open('http2', http2.createSecureServer({ ...tls, allowHTTP1: false }, handle), 0),
      open('cleartext', http2.createServer(handle), 0),
      udp('udp4', 'udp4'),
      udp('udp6', 'udp6', '::1'),
    ]);
    graceful();
    serving();
  },

  async plain() {
    for (const port of rest) await serve('plain', Number(port));
    graceful();
    serving();
  },

  // No line of shutdown code.
  async careless() {
    for (const port of rest) await serve('careless', Number(port));
    serving();
  },

  async exclusive() {
    await serve('exclusive', { port: Number(rest[0]), host: '127.0.0.1', exclusive: true });
    serving();
  },

  async backlog() {
    await serve('backlog', { path: rest[0], backlog: Number(rest[1]) });
    serving();
  },

  async 'unix-stop'() {
    fs.rmSync(rest[0], { force: true });
    await serve('unix', rest[0]);
    graceful();
    serving();
  },

  async fewer() {
    await serve('one', Number(rest[0]));
    if (generation === '1') await serve('two', Number(rest[1]));
    serving();
  },

  async descriptor() {
    await serve('descriptor', { fd: 3 });
    graceful();
    serving();
  },

  // Two servers, of which one is closed for good.
  async two() {
    await serve('one', Number(rest[0]));
    await serve('two', Number(rest[1]));
    serving();
  },

  errors() {
    const [taken, low] = rest;
    const told = (label) => (error) => {
      say(`${label} ${error.code}`);
      if (++count === 6) process.exit(0);
    };
    let count = 0;
    net.createServer().on('error', told('tcp')).listen(Number(taken));
    net.createServer().on('error', told('four')).listen(Number(taken), '127.0.0.1');
    net.createServer().on('error', told('unix')).listen('/no/such/folder/app.sock');
    net.createServer().on('error', told('elsewhere')).listen(0, '192.0.2.1');
    net.createServer().on('error', told('low')).listen(Number(low));
    dgram.createSocket('udp4').on('error', told('udp')).bind(Number(taken), '192.0.2.1');
  },

  // The same port twice in one app.
  async twice() {
    await serve('first', Number(rest[0]));
    http.createServer().on('error', (error) => say(`second ${error.code}`)).listen(Number(rest[0]));
    serving();
  },

  'no-servers'() {
    if (generation === '1') process.exit(3);
    if (generation === '2') throw new Error('thrown on purpose');
    say('done');
    process.exit(0);
  },

  // Says that it is ready, but only the first one.
  async 'ready-once'() {
    await serve('ready-once', Number(rest[0]));
    graceful();
    if (generation === '1') process.send('ready');
    serving();
  },

  // Boots only where there is no file that says it is broken.
  async breakable() {
    if (fs.existsSync(rest[1])) process.exit(1);
    await serve('breakable', Number(rest[0]));
    graceful();
    serving();
  },
};

say(`up ${generation} pid ${process.pid}`);
say(`role ${role}`);
// GATE: a folder; whoever is not the first boots no further until there is a file for it.
if (process.env.GATE && generation !== '1') until(`${process.env.GATE}/boot-${generation}`);
apps[name]();

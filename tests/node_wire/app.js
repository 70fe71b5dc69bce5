// The apps of tests/it/node_wire.rs, each unmodified Node, by the name in argv[2].
'use strict';
const dgram = require('dgram');
const http = require('http');
const net = require('net');
const tls = require('tls');

const [, , name, ...rest] = process.argv;
const say = (text) => process.stdout.write(`${text}\n`);
const serve = (label, text, ...where) =>
  new Promise((done) => {
    const server = http.createServer((_, response) => response.end(text)).listen(...where, () => {
      say(`${label} ${server.address().port ?? server.address()}`);
      done(server);
    });
  });

// The test closes stdin when the app may go on.
const told = () => new Promise((go) => process.stdin.resume().on('end', go));

const psk = { psk: Buffer.from('0123456789abcdef'), identity: 'test' };
const secure = { ciphers: 'PSK', maxVersion: 'TLSv1.2', checkServerIdentity() {} };

const apps = {
  async everything() {
    const [path, port] = rest;
    const pid = `${process.pid}`;
    try {
      require('fs').unlinkSync(path);
    } catch {}
    const udp = dgram.createSocket('udp4', (message, from) => udp.send(pid, from.port, from.address));
    const server = tls.createServer({ ...secure, pskCallback: () => psk.psk }, (socket) => socket.end('secure'));
    await Promise.all([
      serve('any', pid, 0, '127.0.0.1'),
      serve('fixed', pid, Number(port)),
      serve('six', pid, 0, '::1'),
      serve('unix', pid, path),
      new Promise((done) => udp.bind(0, () => done(say(`udp ${udp.address().port}`)))),
      new Promise((done) => server.listen(0, done)),
    ]);
    const client = tls.connect({ ...secure, port: server.address().port, pskCallback: () => psk });
    client.on('data', (data) => say(`tls ${data}`));
    process.send({ type: 'ready' });
  },

  // As pm2's documentation has it, for wait_ready and shutdown_with_message.
  pm2() {
    const server = http.createServer().listen(0, () => process.send('ready'));
    process.send({ text: 'caf\u00e9\n\u2028' });
    process.send(['a', 1, null]);
    process.send('x'.repeat(60000));
    process.on('message', (message) => {
      say(`got ${message}`);
      if (message === 'shutdown') server.close(() => process.exit(0));
    });
  },

  async hang() {
    process.send('ready');
    await told();
    for (;;);
  },

  async brief() {
    await told();
    say('done');
  },

  slow() {
    const server = http.createServer(async (_, response) => {
      say('request');
      await told();
      response.end('slow');
    });
    server.listen(Number(rest[0] ?? 0), () => say(`slow ${server.address().port}`));
  },

  async leave() {
    await serve('leave', '', 0);
    require('cluster').worker.disconnect();
  },

  handle() {
    const server = net.createServer().listen({ port: 0, exclusive: true }, () => {
      process.send('here', server);
      process.send('ready');
    });
  },

  'in-use'() {
    const fails = (label) => (error) => {
      say(`${label} ${error.code}`);
      if (++count === 3) process.exit(0);
    };
    let count = 0;
    net.createServer().on('error', fails('net')).listen(Number(rest[0]));
    tls.createServer().on('error', fails('tls')).listen(Number(rest[0]));
    net.createServer().on('error', fails('unix')).listen('/no/such/folder/app.sock');
  },

  async close() {
    const server = await serve('close', '', 0);
    server.close(() => say('closed'));
    setInterval(() => {}, 1000);
  },

  descriptor() {
    http.createServer((_, response) => response.end('descriptor')).listen({ fd: 3 });
  },
};

apps[name]();

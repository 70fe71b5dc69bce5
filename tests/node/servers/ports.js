// A server of three ports, the last of which comes late: `ports.js MILLISECONDS PORT PORT PORT`. Finishes on TERM what it has begun.
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');

const [, , late, ...ports] = process.argv;
const generation = process.env.RESTARTINIT_GENERATION;
const servers = [];
let closing = false;

const listen = (port, said) => {
  const server = http.createServer((request, response) => {
    if (closing) response.setHeader('Connection', 'close');
    response.end(`ok ${generation}`);
  });
  servers.push(server);
  server.listen(port, () => fs.writeSync(1, `${said} ${generation} pid ${process.pid}\n`));
};

// Who has connected and not asked yet is answered as well: see server.js.
process.on('SIGTERM', () => {
  closing = true;
  for (const server of servers) net.Server.prototype.close.call(server);
  const end = setInterval(() => servers.forEach((server) => server.closeIdleConnections()), 1000);
  Promise.all(servers.map((server) => new Promise((done) => server.once('close', done)))).then(() => clearInterval(end));
});

listen(ports[0], 'first');
listen(ports[1], 'second');
setTimeout(() => listen(ports[2], 'third'), Number(late));

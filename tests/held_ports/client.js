// A client for what is more than text over a socket: `client.js https|http2|cleartext PORT [FILE]`. Prints the answer's body and, for
// https, whether the session of an earlier run was resumed. FILE keeps the session.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const tls = require('tls');

const [, , kind, port, file] = process.argv;

if (kind === 'https') {
  const session = file && fs.existsSync(file) ? fs.readFileSync(file) : undefined;
  const socket = tls.connect({ port, host: 'localhost', rejectUnauthorized: false, session, maxVersion: 'TLSv1.2' }, () => {
    if (file) fs.writeFileSync(file, socket.getSession());
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
  let text = '';
  socket.on('data', (data) => (text += data));
  socket.on('end', () => console.log(text.split('\r\n\r\n')[1].split('\r\n').at(text.includes('chunked') ? 1 : 0), socket.isSessionReused()));
} else {
  const scheme = kind === 'http2' ? 'https' : 'http';
  const client = http2.connect(`${scheme}://localhost:${port}`, { rejectUnauthorized: false });
  const request = client.request({ ':path': '/' });
  let text = '';
  request.on('data', (data) => (text += data));
  request.on('end', () => {
    console.log(text);
    client.close();
  });
  request.end();
}

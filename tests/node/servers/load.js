// A load over TLS: `load.js PORT FRESH KEPT [RATE]`. So many clients with a connection for each request, and so many that keep one; with a
// rate, they ask that many times a second together. Prints a tally again and again: answered, refused, reset, lost, hung, wrong, sent again.
// Ends with its input, and then tells how many were answered a second if there was a rate.
'use strict';
const https = require('https');

const [port, fresh, kept, rate] = process.argv.slice(2).map(Number);
const LIMIT = 20000;
const tally = { answered: 0, refused: 0, reset: 0, lost: 0, hung: 0, wrong: 0, again: 0 };
let over = false;

const ask = (agent) =>
  new Promise((done) => {
    let connected = false;
    let heard = false;
    let whole = false;
    const request = https.get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent, timeout: LIMIT }, (response) => {
      heard = true;
      let text = '';
      response.on('data', (data) => (text += data));
      response.on('end', () => (whole = true));
      response.on('close', () => done(!whole ? 'lost' : response.statusCode === 200 && text.startsWith('ok ') ? 'answered' : 'wrong'));
      response.on('error', () => {});
    });
    request.on('socket', (socket) => (socket.connecting ? socket.on('connect', () => (connected = true)) : (connected = true)));
    request.on('timeout', () => done('hung'));
    request.on('error', (error) => {
      if (heard) return;
      if (request.reusedSocket) return done('again');
      if (!connected) {
        console.log(`fault ${error.message}`);
        return done('refused');
      }
      if (error.code === 'ECONNRESET') return done(/socket hang up|before secure TLS/.test(error.message) ? 'lost' : 'reset');
      if (error.code === 'EPIPE') return done('reset');
      console.log(`fault ${error.message}`);
      done('wrong');
    });
  });

const start = performance.now();
const passed = () => performance.now() - start;
let asked = 0;
// What a client waits for before it asks again, in milliseconds.
const pause = () => (rate ? (asked++ * 1000) / rate - passed() : 3);

const client = async (agent) => {
  while (!over) {
    tally[await ask(agent)] += 1;
    await new Promise((done) => setTimeout(done, pause()));
  }
};

const tell = () => console.log(Object.values(tally).join(' '));
const timer = setInterval(tell, 5);
process.stdin.on('end', () => (over = true)).resume();
const agents = [...Array(fresh).fill(undefined), ...Array(kept).fill(0)].map((_, at) =>
  at < fresh ? new https.Agent({ keepAlive: false }) : new https.Agent({ keepAlive: true, maxSockets: 1 }),
);
Promise.all(agents.map(client)).then(() => {
  clearInterval(timer);
  tell();
  if (rate) console.log(`rate ${Math.round((tally.answered * 1000) / passed())}`);
  agents.forEach((agent) => agent.destroy());
});

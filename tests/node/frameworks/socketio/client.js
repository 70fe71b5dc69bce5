// A client of socket.io: `client.js PORT websocket|polling`. Says a word after each answer, and prints what its users see of a restart:
// each connect and disconnect with its reason, each generation that answers for the first time. Its input's end is its own; then it prints
// how many words were answered, and how many never were.
const { io } = require('socket.io-client');

const [port, transport] = process.argv.slice(2);
const socket = io(`http://127.0.0.1:${port}`, { transports: [transport], reconnectionDelay: 20, reconnectionDelayMax: 50 });
let [answered, lost, last, over] = [0, 0, '', false];

const say = () =>
  socket.timeout(60_000).emit('word', 'x', (error, generation) => {
    if (error) lost += 1;
    else answered += 1;
    if (!error && generation !== last) console.log(`generation ${(last = generation)}`);
    if (!over) return setTimeout(say, 5);
    console.log(`answered ${answered} lost ${lost}`);
    socket.close();
  });

socket.on('connect', () => console.log('connect'));
socket.on('disconnect', (reason) => console.log(`disconnect ${reason}`));
socket.on('connect_error', (error) => console.log(`error ${error.message}`));
socket.once('connect', say);
process.stdin.on('end', () => (over = true)).resume();

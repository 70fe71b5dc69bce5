// Next calls this before it serves: once with the server, and not in a build. The next turn of the event loop is early enough to say so.
export async function register() {
  if (process.env.NEXT_RUNTIME === 'nodejs' && process.send) process.send('ready');
}

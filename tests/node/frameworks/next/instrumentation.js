// Next calls this once, before it serves; not in a build.
export async function register() {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  // Once the server is closed, each answer is the last one on its connection: a client that keeps connections busy moves on.
  const { subscribe } = await import('node:diagnostics_channel');
  subscribe('http.server.request.start', ({ server, response }) => server.listening || response.setHeader('Connection', 'close'));
  process.send?.('ready');
}

// As its page "Getting started" has it: no handler for signals.
const fastify = require('fastify')();

fastify.get('/', async () => `ok ${process.env.RESTARTINIT_GENERATION}`);
fastify.get('/slow', async () => {
  console.log('slow');
  await new Promise((done) => setTimeout(done, Number(process.env.SLOW_MS ?? 500)));
  return 'ok slow';
});

fastify.listen({ port: process.env.PORT, host: '0.0.0.0' });

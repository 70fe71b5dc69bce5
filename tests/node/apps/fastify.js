// A Fastify server with a handler that takes its time on the event loop, and one that never gives it back.
const fastify = require('fastify')()

fastify.get('/', async () => 'hello')

fastify.get('/heavy', async (request) => {
  const until = Date.now() + Number(request.query.ms)
  while (Date.now() < until);
  return 'done'
})

fastify.get('/hang', async () => {
  for (;;);
})

fastify.listen({ port: Number(process.env.PORT || 3000) }).then(() => {
  console.log('Listening on port ' + fastify.server.address().port)
  if (process.send) process.send('ready')
})

// Called by: tests/docker/day_two.rs.
// A server that is well until POST /sick: from then on it turns and answers 503. GO, a path: it listens once that is there. SLOW: how many
// milliseconds each answer takes.
'use strict'

const { existsSync } = require('node:fs')
const { createServer } = require('node:http')

const { GO, SLOW, RESTARTINIT_GENERATION: generation } = process.env
let status = 200

const server = createServer((req, res) => {
  if (req.method === 'POST' && req.url === '/sick') status = 503
  res.writeHead(status)
  setTimeout(() => res.end(), Number(SLOW ?? 0))
})

process.on('SIGTERM', () => server.close())

function boot() {
  if (GO && !existsSync(GO)) return setTimeout(boot, 10)
  server.listen(3000, () => console.log(`generation ${generation}: listening`))
}

console.log(`generation ${generation}: boots`)
boot()

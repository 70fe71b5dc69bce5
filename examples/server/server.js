// A plain HTTP server whose faults can be provoked by address, to see what restartinit makes of them.
// It knows nothing of restartinit: the generation comes from an environment variable, and all else is what any server does.
'use strict'

const http = require('node:http')
const { spawn } = require('node:child_process')

const port = Number(process.env.PORT ?? 3000)
const generation = process.env.RESTARTINIT_GENERATION ?? '0 (not under restartinit)'
const lastExit = process.env.RESTARTINIT_LAST_EXIT
const leaked = []
let stopping = false
let announceStop
const stopAsked = new Promise((resolve) => { announceStop = resolve })

// Each page gets (query, answer). `answer(text, then)` calls `then` once the answer is on its way, so that
// whoever asked for a fault still reads what it was.
const pages = {
  '/': {
    does: 'says who answers',
    run: (query, answer) => answer([
      `pid         ${process.pid}`,
      `generation  ${generation}`,
      ...(lastExit ? [`last exit   ${lastExit}`] : []),
      `uptime      ${process.uptime().toFixed(1)} s`,
      '',
      ...Object.entries(pages).map(([path, page]) => `${(path + (page.example ?? '')).padEnd(24)} ${page.does}`),
    ].join('\n')),
  },
  '/crash': {
    does: 'exits with code 1',
    run: (query, answer) => answer('exiting with code 1', () => process.exit(1)),
  },
  '/exit': {
    example: '?code=7',
    does: 'exits with that code',
    run: (query, answer) => {
      const code = number(query, 'code', 0, 255)
      answer(`exiting with code ${code}`, () => process.exit(code))
    },
  },
  '/throw': {
    does: 'throws where nobody catches it',
    run: (query, answer) => answer('throwing', () => { throw new Error('nobody catches this') }),
  },
  '/signal': {
    example: '?name=SIGSEGV',
    does: 'dies of that signal',
    run: (query, answer) => {
      const name = query.get('name') ?? 'SIGSEGV'
      if (!(name in require('node:os').constants.signals)) throw new BadRequest(`no such signal: ${name}`)
      answer(`sending myself ${name}`, () => process.kill(process.pid, name))
    },
  },
  '/leak': {
    example: '?mb=64',
    does: 'takes that much memory and keeps it',
    run: (query, answer) => {
      const wanted = number(query, 'mb', 64, 1 << 20)
      // In pieces: a single buffer has a size limit, and filled pages are the ones that count against the container.
      for (let mb = 0; mb < wanted; mb++) leaked.push(Buffer.alloc(1 << 20, 1))
      answer(`${leaked.length} MiB leaked so far`)
    },
  },
  '/hang': {
    does: 'blocks the event loop for ever',
    run: (query, answer) => answer('blocking the event loop', () => { for (;;); }),
  },
  '/zombie': {
    does: 'leaves an orphan behind that dies: who reaps it?',
    run: (query, answer) => runNode(leaveDyingOrphan, (pid) => answer(`orphan ${pid}`)),
  },
  '/leftover': {
    example: '?stubborn=0',
    does: 'leaves a process behind that outlives this one (stubborn=1: deaf to SIGTERM)',
    run: (query, answer) => {
      const args = query.get('stubborn') === '1' ? ['stubborn'] : []
      runNode(stayBehind, (pid) => answer(`leftover ${pid}`), args)
    },
  },
  '/slow': {
    example: '?ms=5000',
    does: 'takes that long; without ms: until a stop is asked for',
    run: (query, answer, res) => {
      res.write('started\n')
      const end = () => answer('finished')
      if (query.has('ms')) setTimeout(end, number(query, 'ms', 0, 3_600_000))
      else stopAsked.then(end)
    },
  },
}

// The next two run in a Node process of their own: see runNode.

// Leaves a process behind that ends once its parent, this one, has: a zombie from then on, unless an init reaps it.
function leaveDyingOrphan() {
  const endAfterParent = `setInterval(() => { if (process.ppid !== ${process.pid}) process.exit() }, 5)`
  const { spawn } = require('node:child_process')
  const orphan = spawn(process.execPath, ['-e', endAfterParent], { detached: true, stdio: 'ignore' })
  process.stdout.write(`${orphan.pid}\n`, () => process.exit())
}

// A session of its own and no shared descriptor: nothing ties this process to the server but its parent's pid.
function stayBehind() {
  const { closeSync, writeSync } = require('node:fs')
  if (process.argv.includes('stubborn')) process.on('SIGTERM', () => {})
  setInterval(() => {}, 1 << 30)
  writeSync(1, `${process.pid}\n`)
  closeSync(1)
}

function runNode(main, gotPid, args = []) {
  const child = spawn(process.execPath, ['-e', `(${main})()`, ...args], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.once('data', (line) => gotPid(Number(line)))
}

class BadRequest extends Error {}

function number(query, name, fallback, most) {
  const value = Number(query.get(name) ?? fallback)
  if (!Number.isInteger(value) || value < 0 || value > most) throw new BadRequest(`${name}: a whole number from 0 to ${most}, please`)
  return value
}

const server = http.createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://server')
  // A connection that is kept alive would hold up the stop; one answer each is enough here.
  res.setHeader('Connection', 'close')
  res.setHeader('Content-Type', 'text/plain')
  const answer = (text, then) => {
    if (then) res.once('finish', then)
    res.end(text + '\n')
  }
  const page = pages[pathname]
  try {
    if (!page) throw Object.assign(new BadRequest(`no page ${pathname}: / lists them`), { status: 404 })
    page.run(searchParams, answer, res)
  } catch (error) {
    if (!(error instanceof BadRequest)) throw error
    res.statusCode = error.status ?? 400
    answer(error.message)
  }
})

server.listen(port, () => console.log(`generation ${generation}: listening on port ${server.address().port} (pid ${process.pid})`))

// SIGTERM is how a container is asked to stop: no new connection, finish what is in flight, and go with code 0.
// Ctrl-C (SIGINT) is left to Node, which dies of it.
process.on('SIGTERM', () => {
  if (stopping) return
  stopping = true
  console.log('SIGTERM: finishing what is in flight')
  server.close(() => {
    console.log('stopped')
    process.exit(0)
  })
  announceStop()
})

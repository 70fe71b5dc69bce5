// An Express server with a handler that takes its time on the event loop, and one that never gives it back.
const express = require('express')

const app = express()

app.get('/', (req, res) => res.send('hello'))

app.get('/heavy', (req, res) => {
  const until = Date.now() + Number(req.query.ms)
  while (Date.now() < until);
  res.send('done')
})

app.get('/hang', () => {
  for (;;);
})

const server = app.listen(process.env.PORT || 3000, () => {
  console.log('Listening on port ' + server.address().port)
  if (process.send) process.send('ready')
})

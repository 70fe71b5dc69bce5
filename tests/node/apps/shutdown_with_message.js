// Written for pm2's shutdown_with_message: on the message it finishes what it has to, and exits.
const http = require('http')

const app = http.createServer(function (req, res) {
  setTimeout(function () {
    res.writeHead(200, { Connection: 'close' })
    res.end('finished')
  }, Number(req.headers['x-takes'] || 0))
  console.log('Request ' + req.url)
})

process.on('message', function (msg) {
  if (msg == 'shutdown') {
    console.log('Closing all connections...')
    app.close(function () {
      console.log('Finished closing connections')
      process.exit(0)
    })
  }
})

app.listen(process.env.PORT || 0, function () {
  console.log('Listening on port ' + app.address().port)
  process.send('ready')
})

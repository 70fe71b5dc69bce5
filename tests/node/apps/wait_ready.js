// Written for pm2's wait_ready: it says when it is ready for requests.
const http = require('http')

const app = http.createServer(function (req, res) {
  res.writeHead(200)
  res.end('hey')
})

const listener = app.listen(process.env.PORT || 0, function () {
  console.log('Listening on port ' + listener.address().port)
  process.send('ready')
})

// The app of the test image. It boots for as long as the test wants: it asks the gate that GATE names, and listens once that answers.
// Then it is examples/server/server.js.
'use strict'
const http = require('node:http')
const { basename } = require('node:path')

const query = new URLSearchParams({ script: basename(process.argv[1]), generation: process.env.RESTARTINIT_GENERATION ?? '' })
http.get(`${process.env.GATE}/boot?${query}`, { agent: false }, (answer) => {
  answer.resume()
  answer.on('end', () => require('./example.js'))
})

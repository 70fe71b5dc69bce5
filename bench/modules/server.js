// Called by: bench/boots.py.
// A program that is all modules: it loads what many servers load, does nothing with it, and answers on PORT.
'use strict';
for (const name of ['express', 'fastify', '@nestjs/core', '@nestjs/common', 'pg', 'ioredis', '@aws-sdk/client-s3']) require(name);
require('node:http')
  .createServer((_, response) => response.end('ok'))
  .listen(Number(process.env.PORT), '127.0.0.1');

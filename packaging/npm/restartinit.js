#!/usr/bin/env node
'use strict';
// `npx restartinit -- node server.js`, to try it out. In an image the binary itself is the ENTRYPOINT: this launcher is never PID 1.
// Where Node can replace itself (22.15 and later) it does; else it stays as the parent, passes signals on and ends as the binary ends.
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { constants } = require('node:os');
const { join } = require('node:path');

const binary = join(__dirname, 'bin', `${process.platform}-${process.arch}`, 'restartinit');
const args = process.argv.slice(2);

if (!existsSync(binary)) {
  console.error(`restartinit: no binary for ${process.platform} on ${process.arch}: it runs on Linux (x64, arm64), as in your container`);
  process.exit(125);
}

if (process.execve && process.permission === undefined) {
  process.execve(binary, [binary, ...args], process.env);
}

const child = spawn(binary, args, { stdio: 'inherit' });
// What a terminal sends, it sends to the binary too.
for (const signal of ['SIGINT', 'SIGQUIT']) process.on(signal, () => process.stdin.isTTY || child.kill(signal));
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`restartinit: cannot start ${binary}: ${error.message}`);
  process.exit(126);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));

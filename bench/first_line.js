// A Node command that tells the time at which its first line of JavaScript runs, then lives on. The clock is that of `probe`.
const at = process.hrtime.bigint();
require('node:fs').writeFileSync(process.argv[2], `first ${at}\n`);
setInterval(() => {}, 1 << 30);

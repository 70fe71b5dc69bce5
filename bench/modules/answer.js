// Called by: bench/modules/ending.js.
'use strict';
module.exports = (_, response) => response.end('ok');

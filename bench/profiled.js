// Called by: bench/profile. A server that a slow search through a list holds up: the profile shows it.
'use strict';
const http = require('http');

const orders = Array.from({ length: 40000 }, (_, id) => ({ id, customer: `customer ${id % 97}`, total: (id * 7919) % 1000 }));

function findCustomer(name) {
  return orders.filter((order) => order.customer.toLowerCase().includes(name)).slice(0, 20);
}

function renderPage(found) {
  return found.map((order) => JSON.stringify(order)).join('\n');
}

function handleOrders(request, response) {
  const found = findCustomer(new URL(request.url, 'http://x').searchParams.get('name') ?? 'customer 7');
  response.end(renderPage(found));
}

http.createServer(handleOrders).listen(process.env.PORT, () => console.log('listening'));

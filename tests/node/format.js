// Called by: tests/it/inspector.rs. `format.js profile|heap FILE`: whether a file is what Chrome's DevTools open: a profile by Chrome's own description of
// its protocol (npm: devtools-protocol), a heap snapshot by the description of itself that it begins with. Says what is wrong, and exits with 1.
'use strict';
const fs = require('fs');

const [, , kind, file] = process.argv;
const content = JSON.parse(fs.readFileSync(file, 'utf8'));
const wrong = (what) => {
  console.log(what);
  process.exit(1);
};

const { domains } = require('devtools-protocol/json/js_protocol.json');
const typeOf = (name, inside) => {
  const [domain, id] = name.includes('.') ? name.split('.') : [inside, name];
  return [domains.find((known) => known.domain === domain).types.find((type) => type.id === id), domain];
};

const check = (value, type, domain, path) => {
  if (type.$ref) return check(value, ...typeOf(type.$ref, domain), path);
  const is = { integer: Number.isInteger(value), number: typeof value === 'number', string: typeof value === 'string', boolean: typeof value === 'boolean', array: Array.isArray(value), object: typeof value === 'object' && value !== null && !Array.isArray(value), any: true }[type.type];
  if (!is) wrong(`${path} is no ${type.type}: ${JSON.stringify(value)}`);
  if (type.enum && !type.enum.includes(value)) wrong(`${path} is none of ${type.enum}`);
  if (type.items) value.forEach((item, place) => check(item, type.items, domain, `${path}[${place}]`));
  for (const property of type.properties ?? []) {
    const member = value[property.name];
    if (member !== undefined) check(member, property, domain, `${path}.${property.name}`);
    else if (!property.optional) wrong(`${path}.${property.name} is missing`);
  }
};

const profile = () => {
  check(content, ...typeOf('Profiler.Profile'), 'profile');
  const ids = new Set(content.nodes.map((node) => node.id));
  for (const id of [...content.samples, ...content.nodes.flatMap((node) => node.children ?? [])]) if (!ids.has(id)) wrong(`there is no node ${id}`);
  if (content.samples.length !== content.timeDeltas.length) wrong('not every sample has its time');
};

const heap = () => {
  const { meta, node_count, edge_count } = content.snapshot;
  const { nodes, edges, strings } = content;
  const [perNode, perEdge] = [meta.node_fields.length, meta.edge_fields.length];
  if (nodes.length !== node_count * perNode) wrong(`${nodes.length} numbers for ${node_count} nodes`);
  if (edges.length !== edge_count * perEdge) wrong(`${edges.length} numbers for ${edge_count} edges`);
  const [name, count, to] = [meta.node_fields.indexOf('name'), meta.node_fields.indexOf('edge_count'), meta.edge_fields.indexOf('to_node')];
  let owned = 0;
  for (let at = 0; at < nodes.length; at += perNode) {
    if (typeof strings[nodes[at + name]] !== 'string') wrong(`node ${at / perNode} has no name`);
    owned += nodes[at + count];
  }
  if (owned !== edge_count) wrong(`the nodes own ${owned} of ${edge_count} edges`);
  for (let at = to; at < edges.length; at += perEdge) if (edges[at] % perNode !== 0 || edges[at] >= nodes.length) wrong(`an edge leads to ${edges[at]}`);
};

({ profile, heap })[kind]();

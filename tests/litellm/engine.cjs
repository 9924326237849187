// Serves Prisma's query engine to Prisma's client in Python, as the engine's own program does.
//
// The program is not in any package index, but the same engine is in `@prisma/client`, as Wasm. It speaks Prisma's JSON
// protocol, and the client in Python GraphQL: each request is the same in both, so this translates one into the other.
//
// The environment has DATABASE_URL, PRISMA_DML_PATH with the schema, and ENGINE_PACKAGES with the folder of the packages.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const packages = process.env.ENGINE_PACKAGES;
const load = (name) => require(require.resolve(name, { paths: [packages] }));
const { PrismaPg } = load('@prisma/adapter-pg');
const { bindAdapter } = load('@prisma/driver-adapter-utils');
const { parse } = load('graphql');
const { Pool } = load('pg');

const schema = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
const wasm = path.join(packages, 'node_modules/@prisma/client/runtime/query_engine_bg.postgresql');
const glue = require(`${wasm}.js`);
const module_ = new WebAssembly.Module(fs.readFileSync(`${wasm}.wasm`));
glue.__wbg_set_wasm(new WebAssembly.Instance(module_, { './query_engine_bg.js': glue }).exports);
const adapter = bindAdapter(new PrismaPg(new Pool({ connectionString: process.env.DATABASE_URL })));
const engine = new glue.QueryEngine({ datamodel: schema, logLevel: 'error', logQueries: false }, () => {}, adapter);

// The fields of each model that hold JSON: GraphQL has it in a text, and the engine's protocol tags it.
const fieldsOfJson = new Map();
for (const line of schema.split('\n')) {
  const [first, second = ''] = line.trim().split(/\s+/);
  if (first === 'model') fieldsOfJson.set(second, new Set());
  else if (/^Json\b/.test(second)) [...fieldsOfJson.values()].at(-1).add(first);
}

const map = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));

function value(node) {
  switch (node.kind) {
    case 'IntValue':
    case 'FloatValue': return Number(node.value);
    case 'NullValue': return null;
    case 'ListValue': return node.values.map(value);
    case 'ObjectValue': return members(node.fields);
    default: return node.value;
  }
}

function members(fields) {
  return Object.fromEntries(fields.map((field) => [field.name.value, value(field.value)]));
}

function selection(node) {
  const fields = node.selectionSet?.selections ?? [];
  const one = (field) => (field.selectionSet || field.arguments?.length ? selection(field) : true);
  return {
    arguments: members(node.arguments ?? []),
    selection: Object.fromEntries(fields.map((field) => [field.name.value, one(field)])),
  };
}

function tagged(it) {
  if (Array.isArray(it)) return it.map(tagged);
  if (typeof it === 'string') return { $type: 'Json', value: it };
  return it && typeof it === 'object' ? map(it, tagged) : it;
}

function written(data, names) {
  if (Array.isArray(data)) return data.map((row) => written(row, names));
  return map(data, (it, name) => (names.has(name) ? tagged(it) : it));
}

const ACTION = /^(?:(?:create|update|upsert|delete)(?:One|Many)|find(?:Unique|First|Many)|aggregate|groupBy)/;

function operation(node) {
  const name = node.name.value;
  const query = selection(node);
  if (name === 'queryRaw' || name === 'executeRaw') return { action: name, query };
  const [action] = ACTION.exec(name);
  const [modelName, orThrow] = name.slice(action.length).split(/(OrThrow)$/);
  for (const place of ['data', 'create', 'update']) {
    const data = query.arguments[place];
    if (data) query.arguments[place] = written(data, fieldsOfJson.get(modelName));
  }
  return { modelName, action: action + (orThrow ?? ''), query };
}

function plain(it) {
  if (Array.isArray(it)) return it.map(plain);
  if (it === null || typeof it !== 'object') return it;
  return '$type' in it ? it.value : map(it, plain);
}

async function query(body, transaction) {
  const request = JSON.parse(body);
  const root = ({ query }) => parse(query).definitions[0].selectionSet.selections[0];
  const operations = (request.batch ?? [request]).map((one) => operation(root(one)));
  const batch = { batch: operations, transaction: request.transaction ? {} : undefined };
  const asked = JSON.stringify(request.batch ? batch : operations[0]);
  const answer = JSON.parse(await engine.query(asked, '{}', transaction));
  if (answer.errors) return JSON.stringify(answer);
  const result = (it) => (it.errors ? it : { data: { result: plain(Object.values(it.data)[0]) } });
  return JSON.stringify(request.batch ? { batchResult: answer.batchResult.map(result) } : result(answer));
}

async function respond(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const [, first, second, third] = request.url.split('/');
  if (first === 'status') return '{"status":"ok"}';
  if (first !== 'transaction') return query(body, request.headers['x-transaction-id']);
  if (second === 'start') return engine.startTransaction(body, '{}');
  return third === 'commit' ? engine.commitTransaction(second, '{}') : engine.rollbackTransaction(second, '{}');
}

const server = http.createServer((request, response) => {
  const send = (status, text) => response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  respond(request).then((text) => send(200, text), (error) => {
    console.error(error);
    send(500, JSON.stringify({ errors: [{ error: String(error) }] }));
  });
});
const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
engine.connect('{}').then(() => server.listen(port, 'localhost'));

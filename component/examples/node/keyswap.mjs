// Keyswap as a middleware of Express, and of every server whose handlers take Node's request and response.
//
// The authorizer decides; this makes the calls that it asks for, forwards, and carries bodies as they come. It logs
// nothing of a request but what the authorizer says, and forwards no trailer. `guard` judges what reaches a server
// beside requests: upgrades and CONNECT.
import http from "node:http";
import https from "node:https";
import { Transform } from "node:stream";

/** So long an upstream may say nothing. */
const SILENCE_MS = 600_000;
const ROUND_MS = 1_000;
const ABILITIES = { counts: true, upgrades: false, injectsCredentials: false, passes: true };

const now = () => BigInt(Date.now()) * 1_000_000n;
const bytes = (text) => new Uint8Array(Buffer.from(text, "latin1"));
const text = (value) => Buffer.from(value).toString("latin1");

/** Node's raw lines, name and value in turn, as fields; `rawHeaders` alone has all lines as they came. */
function fieldsOf(raw) {
  const fields = [];
  for (let at = 0; at < raw.length; at += 2) fields.push({ name: raw[at], value: bytes(raw[at + 1]) });
  return fields;
}

const rawOf = (fields) => fields.flatMap(({ name, value }) => [name, text(value)]);
const clientFor = (isHttps) => (isHttps ? https : http);

/** Where to connect to; without a port it is the scheme's. */
function placeOf(isHttps, authority) {
  const { hostname, port } = new URL(`${isHttps ? "https" : "http"}://${authority}`);
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port: port || undefined };
}

/**
 * The middleware for a policy, a JSON text. `Engine` is the transpiled authorizer's. `variables` are those that the policy
 * names, and `log` takes its lines. A policy that does not hold throws an `Error` that says all that is wrong.
 */
export function keyswap({ Engine, policy, variables = process.env, node = "node", log = console.error }) {
  const engine = create(Engine, policy, Object.entries(variables), node);
  const tell = () => engine.log().forEach((line) => log(line));
  const round = setInterval(() => {
    for (const call of engine.due(now())) make(call).then(tell, log);
    tell();
  }, ROUND_MS);
  round.unref();
  const middleware = (request, response, next) => {
    serve(engine, request, response, next).then(tell, (error) => {
      log(`a request came to nothing: ${error.code ?? error.name}`);
      response.destroy();
    });
  };
  middleware.close = () => clearInterval(round);
  middleware.guard = (server) => guard(server, engine, tell);
  return middleware;
}

/**
 * Judges upgrades and CONNECT before any listener of the server has them, also one that is added later. A listener gets
 * those that pass. Without a listener, Node hands an upgrade to the middleware as a request, and closes a CONNECT.
 */
function guard(server, engine, tell) {
  const emit = server.emit;
  server.emit = function (event, ...args) {
    if (event !== "upgrade" && event !== "connect") return emit.call(this, event, ...args);
    const [request, socket] = args;
    socket.on("error", () => socket.destroy());
    judgeHandshake(engine, request, socket, () => emit.call(this, event, ...args)).then(tell, () => socket.destroy());
    return true;
  };
}

/** Answers a refusal on the socket itself, and ends it. */
async function judgeHandshake(engine, request, socket, next) {
  const step = await judge(engine, request);
  if (step.tag === "pass") return pass(step.val, request, next);
  // No ability to upgrade was claimed, so none is forwarded but one to another protocol, for which there is no way.
  if (step.tag !== "reply") return socket.destroy();
  const response = new http.ServerResponse(request);
  response.shouldKeepAlive = false;
  response.on("finish", () => socket.end());
  response.assignSocket(socket);
  reply(step.val, request, response);
}

function create(Engine, policy, variables, node) {
  try {
    return Engine.createReading(policy, variables, ABILITIES, { requests: true, answers: true }, node);
  } catch (error) {
    const errors = error.payload ?? error;
    if (!Array.isArray(errors)) throw error;
    throw new Error(errors.map(({ path, message }) => `error at \`${path}\`: ${message}`).join("\n"));
  }
}

/** Resolves to what to do with a request, after all calls that this takes. */
async function judge(engine, request) {
  const head = {
    method: request.method,
    target: request.originalUrl ?? request.url,
    fields: fieldsOf(request.rawHeaders),
  };
  let step = engine.judge(head, now());
  while (step.tag === "call") step = await make(step.val);
  return step;
}

function pass({ field }, request, next) {
  if (field) request.headers[field.name] = text(field.value);
  return next();
}

async function serve(engine, request, response, next) {
  const step = await judge(engine, request);
  switch (step.tag) {
    case "forward":
      return forward(step.val, request, response);
    case "reply":
      return reply(step.val, request, response);
    case "pass":
      return pass(step.val, request, next);
  }
}

function reply({ status, fields, body }, request, response) {
  const length = body ? ["content-length", String(Buffer.byteLength(body))] : [];
  response.writeHead(status, [...rawOf(fields), ...length]);
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Sends the request upstream for the caller. If either side disconnects, the other side's connection ends too. */
function forward({ https: isHttps, authority, target, fields, exchange }, request, response) {
  return new Promise((resolve, reject) => {
    // A body of unknown length must be framed again: what framed it was the caller's connection.
    const framing = request.headers["transfer-encoding"] ? ["transfer-encoding", "chunked"] : [];
    const upstream = clientFor(isHttps).request({
      ...placeOf(isHttps, authority),
      method: request.method,
      path: target,
      headers: ["host", authority, ...rawOf(fields), ...framing],
      timeout: SILENCE_MS,
    });
    let isTooSlow = false;
    upstream.on("timeout", () => {
      isTooSlow = true;
      upstream.destroy();
    });
    upstream.on("response", (answer) => {
      const sent = exchange.answered(answer.statusCode, fieldsOf(answer.rawHeaders), now());
      const instead = exchange.instead(answer.statusCode);
      if (instead) {
        answer.destroy();
        reply(instead, request, response);
        return resolve();
      }
      response.sendDate = false;
      response.writeHead(answer.statusCode, rawOf(sent));
      response.flushHeaders();
      if (exchange.readsAnswer()) answer.pipe(read()).pipe(response);
      else answer.pipe(response);
      answer.on("error", () => response.destroy());
      response.on("finish", resolve);
    });
    const read = () =>
      new Transform({
        transform: (slice, _, done) => done(null, exchange.answerBody(slice, false) ?? slice),
        flush: (done) => done(null, exchange.answerBody(new Uint8Array(), true)),
      }).on("error", () => response.destroy());
    upstream.on("error", () => {
      if (response.headersSent) response.destroy();
      else if (!response.destroyed) reply(exchange.failed(isTooSlow ? "too-slow" : "unreachable"), request, response);
      resolve();
    });
    response.on("close", () => {
      exchange.ended(now());
      if (!response.writableFinished) upstream.destroy();
    });
    // Half a request is none.
    request.on("error", reject);
    request.on("aborted", () => upstream.destroy());
    if (!exchange.readsRequest()) return request.pipe(upstream);
    const refuse = (refusal) => {
      upstream.removeAllListeners("error").on("error", () => {});
      upstream.destroy();
      if (response.headersSent) response.destroy();
      else reply(refusal, request, response);
      resolve();
    };
    const judged = new Transform({
      transform: (slice, _, done) => judge(slice, false, done),
      flush: (done) => judge(new Uint8Array(), true, done),
    });
    const judge = async (slice, isLast, done) => {
      let step = exchange.requestBody(slice, isLast, now());
      let bytes = slice;
      while (step.tag === "call") {
        bytes = step.val.bytes ?? bytes;
        await make(step.val.call);
        step = exchange.resumeRequest(now());
      }
      if (step.tag === "pass") return done(null, step.val ?? bytes);
      request.unpipe(judged);
      request.resume();
      refuse(step.val);
    };
    request.pipe(judged).pipe(upstream);
  });
}

/** Makes a call that the authorizer asks for; resolves to the step of the request that waits for it, if one does. */
async function make(call) {
  const { constructor } = call;
  const answer = await ask(call.request());
  return constructor.answered(call, answer, now());
}

/** What came of it: `undefined` for no answer, one that is too late or too long. No redirect is followed. */
function ask({ method, https: isHttps, authority, target, fields, body, timeoutMs, mostBytes }) {
  return new Promise((resolve) => {
    const length = body ? ["content-length", String(body.length)] : [];
    const signal = AbortSignal.timeout(timeoutMs);
    const call = clientFor(isHttps).request({
      ...placeOf(isHttps, authority),
      method,
      path: target,
      headers: ["host", authority, ...rawOf(fields), ...length],
      signal,
    });
    call.on("error", () => resolve(undefined));
    call.on("response", (answer) => {
      const chunks = [];
      let size = 0;
      answer.on("data", (chunk) => {
        size += chunk.length;
        if (size > mostBytes) call.destroy();
        else chunks.push(chunk);
      });
      answer.on("close", () => {
        const isWhole = answer.complete && size <= mostBytes;
        resolve(isWhole ? { status: answer.statusCode, body: new Uint8Array(Buffer.concat(chunks)) } : undefined);
      });
      answer.on("error", () => resolve(undefined));
    });
    call.end(body);
  });
}

// Keyswap as a middleware of Express, and of every server whose handlers take Node's request and response.
//
// It forwards, and carries bodies as they come. It forwards no trailer. `guard` judges what reaches a server beside requests:
// upgrades and CONNECT.
import http from "node:http";
import https from "node:https";
import { Transform } from "node:stream";
import { Gate, now } from "./engine.js";
import { bytesOf, textOf } from "./wire.js";

export { PolicyError } from "./engine.js";

/** @import { IncomingMessage, Server, ServerResponse } from "node:http" */
/** @import { Duplex, TransformCallback } from "node:stream" */
/** @import { Exchange, Field, Forward, Pass, Reply } from "../dist/interfaces/keyswap-auth-authorizer.js" */
/** @typedef {IncomingMessage & { originalUrl?: string }} Incoming */
/** @typedef {(error?: unknown) => void} Next */
/** @typedef {(slice: Uint8Array, isLast: boolean) => Promise<Uint8Array | undefined>} Step A step with nothing ends its stream. */

/** So long an upstream may say nothing. */
const SILENCE_MS = 600_000;
const NOTHING = new Uint8Array();

/**
 * Returns the middleware for a policy. It stands before all that reads bodies.
 *
 * @param {import("./engine.js").Options} options
 * @throws {import("./engine.js").PolicyError} The policy does not hold.
 */
export function keyswap(options) {
  const gate = new Gate(options, true);
  const middleware = (/** @type {Incoming} */ request, /** @type {ServerResponse} */ response, /** @type {Next} */ next) => {
    serve(gate, request, response, next).then(
      () => gate.tell(),
      (error) => {
        gate.failed(error);
        response.destroy();
      },
    );
  };
  return Object.assign(middleware, {
    close: () => gate.close(),
    round: () => gate.round(),
    /** Judges the upgrades and CONNECTs of a server. */
    guard: (/** @type {Server} */ server) => guard(server, gate),
  });
}

/**
 * Judges upgrades and CONNECT before any listener of the server has them, also one that is added later. A listener gets
 * those that pass. Without a listener, Node hands an upgrade to the middleware as a request, and closes a CONNECT.
 *
 * @param {Server} server
 * @param {Gate} gate
 */
function guard(server, gate) {
  const emit = /** @type {(event: string | symbol, ...args: any[]) => boolean} */ (server.emit);
  server.emit = function (/** @type {string | symbol} */ event, /** @type {any[]} */ ...args) {
    if (event !== "upgrade" && event !== "connect") return emit.call(this, event, ...args);
    const [request, socket] = args;
    socket.on("error", () => socket.destroy());
    judgeHandshake(gate, request, socket, () => emit.call(this, event, ...args)).then(
      () => gate.tell(),
      () => socket.destroy(),
    );
    return true;
  };
}

/**
 * Answers a refusal on the socket itself, and ends it.
 *
 * @param {Gate} gate
 * @param {Incoming} request
 * @param {Duplex} socket
 * @param {() => void} next
 */
async function judgeHandshake(gate, request, socket, next) {
  const step = await judge(gate, request);
  if (step.tag === "pass") return pass(step.val, request, next);
  // No ability to upgrade was claimed, so none is forwarded but one to another protocol, for which there is no way.
  if (step.tag === "forward") {
    gate.finish(step.val.exchange);
    return socket.destroy();
  }
  const response = new http.ServerResponse(request);
  response.shouldKeepAlive = false;
  response.on("finish", () => socket.end());
  response.assignSocket(/** @type {import("node:net").Socket} */ (socket));
  reply(step.val, request, response);
}

/**
 * @param {Gate} gate
 * @param {Incoming} request
 */
const judge = (gate, request) =>
  gate.judge({
    method: request.method ?? "",
    target: request.originalUrl ?? request.url ?? "",
    fields: fieldsOf(request.rawHeaders),
  });

/**
 * @param {Pass} pass
 * @param {Incoming} request
 * @param {Next} next
 */
function pass({ field }, request, next) {
  if (field) request.headers[field.name] = textOf(field.value);
  next();
}

/**
 * @param {Gate} gate
 * @param {Incoming} request
 * @param {ServerResponse} response
 * @param {Next} next
 */
async function serve(gate, request, response, next) {
  const step = await judge(gate, request);
  switch (step.tag) {
    case "forward":
      return new Passage(gate, step.val.exchange, request, response).forward(step.val);
    case "reply":
      return reply(step.val, request, response);
    case "pass":
      return pass(step.val, request, next);
  }
}

/**
 * @param {Reply} reply
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 */
function reply({ status, fields, body }, request, response) {
  const length = body ? ["content-length", String(Buffer.byteLength(body))] : [];
  response.writeHead(status, [...rawOf(fields), ...length]);
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A request on its way. If either side disconnects, the other side's connection ends, too. */
class Passage {
  #gate;
  #exchange;
  #request;
  #response;
  /** @type {http.ClientRequest | undefined} */
  #upstream;
  #isTooSlow = false;

  /**
   * @param {Gate} gate
   * @param {Exchange} exchange
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   */
  constructor(gate, exchange, request, response) {
    this.#gate = gate;
    this.#exchange = exchange;
    this.#request = request;
    this.#response = response;
  }

  /** Resolves once the exchange is over. */
  forward(/** @type {Forward} */ forward) {
    const [request, response] = [this.#request, this.#response];
    return new Promise((/** @type {(nothing: void) => void} */ resolve, reject) => {
      const fail = (/** @type {unknown} */ error) => {
        this.#upstream?.destroy();
        reject(error);
      };
      const end = () => {
        this.#gate.finish(this.#exchange);
        if (!response.writableFinished) this.#upstream?.destroy();
        resolve();
      };
      // The caller may have left while the request was judged.
      if (response.destroyed) return end();
      response.on("close", end);
      // Something before Keyswap has read the body: upstream would wait for it in vain.
      if (request.readableDidRead) return fail({ code: "the body was read before Keyswap" });
      const upstream = (this.#upstream = this.#open(forward));
      upstream.on("error", () => this.#fail());
      upstream.on("response", (answer) => {
        try {
          this.#answer(answer);
        } catch (error) {
          fail(error);
        }
      });
      // Half a request is none.
      request.on("error", fail);
      request.on("aborted", () => upstream.destroy());
      this.#send(upstream);
    });
  }

  #open(/** @type {Forward} */ { https: isHttps, authority, target, fields }) {
    // A body of unknown length must be framed again: what framed it was the caller's connection.
    const framing = this.#request.headers["transfer-encoding"] ? ["transfer-encoding", "chunked"] : [];
    const upstream = (isHttps ? https : http).request({
      ...placeOf(isHttps, authority),
      method: this.#request.method,
      path: target,
      headers: ["host", authority, ...rawOf(fields), ...framing],
      timeout: SILENCE_MS,
    });
    return upstream.on("timeout", () => {
      this.#isTooSlow = true;
      upstream.destroy();
    });
  }

  #send(/** @type {http.ClientRequest} */ upstream) {
    const request = this.#request;
    if (!this.#exchange.readsRequest()) return request.pipe(upstream);
    const judged = this.#through(async (slice, isLast) => {
      const step = await this.#gate.requestSlice(this.#exchange, slice, isLast);
      if ("bytes" in step) return step.bytes;
      request.unpipe(judged);
      request.resume();
      this.#refuse(upstream, step.refusal);
      return undefined;
    });
    return request.pipe(judged).pipe(upstream);
  }

  #answer(/** @type {IncomingMessage} */ answer) {
    const [exchange, response] = [this.#exchange, this.#response];
    const status = answer.statusCode ?? 502;
    const sent = exchange.answered(status, fieldsOf(answer.rawHeaders), now());
    const instead = exchange.instead(status);
    if (instead) {
      answer.destroy();
      return reply(instead, this.#request, response);
    }
    response.sendDate = false;
    response.writeHead(status, rawOf(sent));
    response.flushHeaders();
    const read = this.#through(async (slice, isLast) => {
      const bytes = await this.#gate.answerSlice(exchange, slice, isLast);
      if (!bytes) response.destroy();
      return bytes;
    });
    (exchange.readsAnswer() ? answer.pipe(read) : answer).pipe(response);
    answer.on("error", () => response.destroy());
  }

  /** Returns a stream of what a step makes of each slice. Both connections end where the step fails. */
  #through(/** @type {Step} */ step) {
    const take = (/** @type {Uint8Array} */ slice, /** @type {boolean} */ isLast, /** @type {TransformCallback} */ done) =>
      void step(slice, isLast).then((bytes) => bytes && done(null, bytes), done);
    return new Transform({
      transform: (slice, _, done) => take(slice, false, done),
      flush: (done) => take(NOTHING, true, done),
    }).on("error", () => {
      this.#upstream?.destroy();
      this.#response.destroy();
    });
  }

  /** Gives the request up: upstream it looks broken off. */
  #refuse(/** @type {http.ClientRequest} */ upstream, /** @type {Reply} */ refusal) {
    upstream.removeAllListeners("error").on("error", () => {});
    upstream.destroy();
    if (this.#response.headersSent) this.#response.destroy();
    else reply(refusal, this.#request, this.#response);
    this.#gate.tell();
  }

  #fail() {
    const response = this.#response;
    if (response.headersSent) return void response.destroy();
    if (response.destroyed) return;
    reply(this.#exchange.failed(this.#isTooSlow ? "too-slow" : "unreachable"), this.#request, response);
  }
}

/**
 * Returns Node's raw lines, name and value in turn, as fields; `rawHeaders` alone has all lines as they came.
 *
 * @param {string[]} raw
 */
function fieldsOf(raw) {
  const fields = [];
  for (let at = 0; at < raw.length; at += 2) {
    fields.push({ name: raw[at] ?? "", value: bytesOf(raw[at + 1] ?? "") });
  }
  return fields;
}

const rawOf = (/** @type {Field[]} */ fields) => fields.flatMap(({ name, value }) => [name, textOf(value)]);

/**
 * Returns where to connect to; without a port it is the scheme's.
 *
 * @param {boolean} isHttps
 * @param {string} authority
 */
function placeOf(isHttps, authority) {
  const { hostname, port } = new URL(`${isHttps ? "https" : "http"}://${authority}`);
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port: port || undefined };
}

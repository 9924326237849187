// The engine with what every server needs of it: it makes the calls that the authorizer asks for, and takes the steps of
// bodies. It carries nothing itself: `express.js` and `fetch.js` do.
import { authorizer } from "./authorizer.js";
import { headersOf, urlOf } from "./wire.js";

export { authorizer };

/** @import { Call, Exchange, Forward, HttpAnswer, HttpRequest, Pass, Reply, RequestHead, Step } from "../dist/interfaces/keyswap-auth-authorizer.js" */

/**
 * @typedef {object} Options
 * @property {string | object} policy The policy: a JSON text, or the document as an object.
 * @property {Record<string, string | undefined>} [variables] The variables that the policy names; `process.env` unless
 *   given.
 * @property {boolean} [counts] Set it if this program is the only one that serves the address, so that it can count rate
 *   limits in its memory. With several processes, leave it out: the registry counts.
 * @property {string} [node] The name of this program in reports to a registry.
 * @property {(line: string) => void} [log] Takes the lines for operators; `console.error` unless given.
 * @property {typeof globalThis.fetch} [fetch] Makes the engine's calls; in `keyswap/fetch` and `keyswap/hono` it sends the
 *   requests, too.
 */

/** @typedef {{ tag: "forward", val: Forward } | { tag: "reply", val: Reply } | { tag: "pass", val: Pass }} Decision */

const ROUND_MS = 1_000;

/** Returns the time as the engine takes it. */
export const now = () => BigInt(Date.now()) * 1_000_000n;

/** All that is wrong with a policy. */
export class PolicyError extends Error {
  /** @param {{ path: string, message: string }[]} errors */
  constructor(errors) {
    super(errors.map(({ path, message }) => `error at \`${path}\`: ${message}`).join("\n"));
    this.name = "PolicyError";
    this.errors = errors;
  }
}

/** An engine with a policy, and the calls that it asks for. */
export class Gate {
  #authorizer = authorizer();
  #engine;
  #log;
  #fetch;
  #rounds;

  /**
   * @param {Options} options
   * @param {boolean} passes Set where a request that passes untouched has somewhere to go.
   */
  constructor({ policy, variables, counts = false, node = "node", log = console.error, fetch }, passes) {
    const abilities = { counts, upgrades: false, injectsCredentials: false, passes };
    this.#engine = this.#create(policy, variables ?? globalThis.process?.env ?? {}, abilities, node);
    this.#log = log;
    this.#fetch = fetch ?? globalThis.fetch;
    this.#rounds = setInterval(() => void this.round(), ROUND_MS);
    // In a host without this, such as a browser's, timers hold up no exit.
    this.#rounds.unref?.();
  }

  /**
   * @param {string | object} policy
   * @param {Record<string, string | undefined>} variables
   * @param {import("../dist/interfaces/keyswap-auth-authorizer.js").Abilities} abilities
   * @param {string} node
   */
  #create(policy, variables, abilities, node) {
    const text = typeof policy === "string" ? policy : JSON.stringify(policy);
    const known = Object.entries(variables).flatMap(([name, value]) =>
      value === undefined ? [] : [/** @type {[string, string]} */ ([name, value])],
    );
    try {
      return this.#authorizer.Engine.createReading(text, known, abilities, { requests: true, answers: true }, node);
    } catch (error) {
      const errors = /** @type {any} */ (error).payload ?? error;
      throw Array.isArray(errors) ? new PolicyError(errors) : error;
    }
  }

  /**
   * Resolves to what to do with a request, after all calls that this takes.
   *
   * @param {RequestHead} head
   * @returns {Promise<Decision>}
   */
  async judge(head) {
    /** @type {Step | undefined} */
    let step = this.#engine.judge(head, now());
    while (step?.tag === "call") step = await this.#make(step.val);
    if (!step) throw new Error("no step followed a call");
    return step;
  }

  /**
   * Resolves to what goes on in the place of a slice of the request's body, or to a refusal.
   *
   * @param {Exchange} exchange
   * @param {Uint8Array} slice
   * @param {boolean} isLast
   * @returns {Promise<{ bytes: Uint8Array } | { refusal: Reply }>}
   */
  async requestSlice(exchange, slice, isLast) {
    let bytes = slice;
    let step = exchange.requestBody(slice, isLast, now());
    while (step.tag === "call") {
      bytes = step.val.bytes ?? bytes;
      await this.#make(step.val.call);
      step = exchange.resumeRequest(now());
    }
    return step.tag === "reply" ? { refusal: step.val } : { bytes: step.val ?? bytes };
  }

  /**
   * Resolves to what goes on in the place of a slice of the answer's body; to `undefined` where nothing more may.
   *
   * @param {Exchange} exchange
   * @param {Uint8Array} slice
   * @param {boolean} isLast
   */
  async answerSlice(exchange, slice, isLast) {
    let step = exchange.answerSlice(slice, isLast, now());
    while (step.tag === "call") {
      await this.#make(step.val);
      step = exchange.resumeAnswer(now());
    }
    return step.tag === "pass" ? (step.val ?? slice) : undefined;
  }

  /**
   * Ends an exchange, whole or not, and makes the calls that tell it. What was not told is due again.
   *
   * @param {Exchange} exchange
   */
  finish(exchange) {
    this.#guarded(() => this.#behind(exchange.finished(now())));
  }

  /** Makes the calls that are due, and writes the log. Resolves once they have their answers. */
  async round() {
    await this.#guarded(() => this.#behind(this.#engine.due(now())));
  }

  /** Writes the log. */
  tell() {
    this.#guarded(() => this.#engine.log().forEach((line) => this.#log(line)));
  }

  /** Ends the calls that are made in the background. */
  close() {
    clearInterval(this.#rounds);
  }

  /** Says that a request came to nothing, without anything of the request. */
  failed(/** @type {any} */ error) {
    this.#log(`a request came to nothing: ${error?.code ?? error?.name ?? "unknown"}`);
  }

  /** Makes calls that no caller waits for. */
  async #behind(/** @type {Call[]} */ calls) {
    await Promise.all(calls.map((call) => this.#make(call).catch((error) => this.failed(error))));
    this.tell();
  }

  /**
   * Runs what no caller waits for: a failure is logged, and the program goes on.
   *
   * @template T
   * @param {() => T} work
   */
  #guarded(work) {
    try {
      return work();
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  /**
   * Makes a call; resolves to the step of the request that waits for it, if one does.
   *
   * @param {Call} call
   */
  async #make(call) {
    const answer = await ask(this.#fetch, call.request());
    return this.#authorizer.Call.answered(call, answer, now());
  }
}

/**
 * Resolves to the answer to a call: to `undefined` where none came whole, in time and short enough. No redirect is followed.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {HttpRequest} request
 * @returns {Promise<HttpAnswer | undefined>}
 */
async function ask(fetch, { method, https, authority, target, fields, body, timeoutMs, mostBytes }) {
  try {
    const answer = await fetch(urlOf(https, authority, target), {
      method,
      headers: headersOf(fields),
      body: /** @type {BodyInit | undefined} */ (body),
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const whole = await read(answer, mostBytes);
    // A host that hides redirects gives the status 0.
    return whole && answer.status >= 100 ? { status: answer.status, body: whole } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Resolves to the whole body of an answer, and to `undefined` where it is longer than `most`.
 *
 * @param {Response} answer
 * @param {number} most
 */
async function read(answer, most) {
  const chunks = [];
  let size = 0;
  const reader = answer.body?.getReader();
  for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
    size += read.value.length;
    if (size > most) {
      await reader?.cancel();
      return undefined;
    }
    chunks.push(read.value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

// The way of a request in the form of the Fetch standard: it is judged, and answered, forwarded or passed on.
import { now } from "./engine.js";
import { encoded, fieldsOf, headersOf, textOf, urlOf } from "./wire.js";

/** @import { Exchange, Forward, Reply } from "../dist/interfaces/keyswap-auth-authorizer.js" */
/** @import { Gate } from "./engine.js" */

/** So long an upstream may say nothing before its answer. */
const SILENCE_MS = 600_000;
const NOTHING = new Uint8Array();
/** The codings that every `fetch` decodes. */
const DECODED = ["gzip", "x-gzip", "deflate", "br"];
/** The statuses whose answers have no body. */
const BODILESS = [204, 205, 304];

/**
 * Resolves to the answer to a request, or to the request that passes untouched.
 *
 * @param {Gate} gate
 * @param {Request} request
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<Response | { passed: Request }>}
 */
export async function serve(gate, request, fetch = globalThis.fetch) {
  try {
    const { pathname, search } = new URL(request.url);
    const fields = fieldsOf(request.headers);
    const step = await gate.judge({ method: request.method, target: pathname + search, fields });
    switch (step.tag) {
      case "forward":
        return await new Passage(gate, step.val.exchange, request).forward(step.val, fetch);
      case "reply":
        return reply(step.val, request);
      case "pass":
        return { passed: step.val.field ? withField(request, step.val.field) : request };
    }
  } catch (error) {
    gate.failed(error);
    return unavailable();
  } finally {
    gate.tell();
  }
}

/** Returns the answer where Keyswap has none. */
export const unavailable = () => new Response(null, { status: 503 });

/**
 * @param {Request} request
 * @param {{ name: string, value: Uint8Array }} field
 */
function withField(request, { name, value }) {
  const headers = new Headers(request.headers);
  headers.append(name, textOf(value));
  return new Request(request, { headers });
}

/**
 * @param {Reply} reply
 * @param {Request} request
 */
function reply({ status, fields, body }, request) {
  const headers = new Headers();
  for (const { name, value } of fields) headers.append(name, textOf(value));
  const bytes = encoded(body);
  if (bytes.length > 0) headers.set("content-length", String(bytes.length));
  return new Response(bytes.length === 0 || request.method === "HEAD" ? null : bytes, { status, headers });
}

/** A request on its way. If either side leaves, the other side's connection ends, too. */
class Passage {
  #gate;
  #exchange;
  #request;
  #abort = new AbortController();
  /** @type {Reply | undefined} */
  #refusal;
  #isOver = false;
  #isTooSlow = false;

  /**
   * @param {Gate} gate
   * @param {Exchange} exchange
   * @param {Request} request
   */
  constructor(gate, exchange, request) {
    this.#gate = gate;
    this.#exchange = exchange;
    this.#request = request;
  }

  /**
   * @param {Forward} forward
   * @param {typeof globalThis.fetch} fetch
   */
  async forward({ https, authority, target, fields }, fetch) {
    this.#request.signal?.addEventListener("abort", this.#leave);
    try {
      const url = urlOf(https, authority, target);
      const body = await this.#body();
      if (this.#refusal) return this.#reply(this.#refusal);
      if (this.#request.signal?.aborted) this.#leave();
      const answer = await this.#ask(() =>
        fetch(url, {
          method: this.#request.method,
          headers: headersOf(fields),
          redirect: "manual",
          signal: this.#abort.signal,
          // A stream is sent while it is made.
          .../** @type {RequestInit} */ (body ? { body, duplex: "half" } : {}),
        }),
      );
      return answer ? await this.#answer(answer) : this.#reply(this.#refusal ?? this.#failure());
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** Resolves to the body as it goes on. A refusal breaks it off: half a request is none. */
  async #body() {
    const { body } = this.#request;
    if (!this.#exchange.readsRequest()) return body;
    const judge = async (/** @type {Uint8Array} */ slice, /** @type {boolean} */ isLast) => {
      const step = await this.#gate.requestSlice(this.#exchange, slice, isLast);
      if ("bytes" in step) return step.bytes;
      this.#refusal = step.refusal;
      this.#gate.tell();
      this.#abort.abort();
      return undefined;
    };
    if (body) return through(body, judge);
    // A request without a body is judged at its end, too.
    await judge(NOTHING, true);
    return null;
  }

  /** Resolves to the head of the answer; to `undefined` where none came. */
  async #ask(/** @type {() => Promise<Response>} */ send) {
    const timer = setTimeout(() => {
      this.#isTooSlow = true;
      this.#abort.abort();
    }, SILENCE_MS);
    try {
      const answer = await send();
      const coding = answer.headers.get("content-encoding")?.toLowerCase() ?? "identity";
      const isReadable = coding === "identity" || DECODED.includes(coding);
      return answer.status >= 200 && isReadable ? answer : undefined;
    } catch (error) {
      this.#isTooSlow ||= String(/** @type {any} */ (error)?.cause?.code).includes("TIMEOUT");
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async #answer(/** @type {Response} */ answer) {
    const sent = this.#exchange.answered(answer.status, fieldsOf(plain(answer.headers)), now());
    const instead = this.#exchange.instead(answer.status);
    if (instead) return this.#reply(instead);
    const headers = new Headers();
    for (const { name, value } of sent) headers.append(name, textOf(value));
    const reads = this.#exchange.readsAnswer();
    const read = async (/** @type {Uint8Array} */ slice, /** @type {boolean} */ isLast) =>
      reads ? this.#gate.answerSlice(this.#exchange, slice, isLast) : slice;
    if (answer.body && !BODILESS.includes(answer.status)) {
      return new Response(through(answer.body, read, this.#end, this.#leave), { status: answer.status, headers });
    }
    if ((await read(NOTHING, true)) === undefined) return this.#reply(this.#failure());
    this.#end();
    return new Response(null, { status: answer.status, headers });
  }

  #failure() {
    return this.#exchange.failed(this.#isTooSlow ? "too-slow" : "unreachable");
  }

  /** Answers in the upstream's stead. */
  #reply(/** @type {Reply} */ it) {
    this.#leave();
    return reply(it, this.#request);
  }

  #leave = () => {
    this.#abort.abort();
    this.#end();
  };

  #end = () => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#request.signal?.removeEventListener("abort", this.#leave);
    this.#gate.finish(this.#exchange);
  };
}

/** Returns the lines of an answer whose body was decoded. */
function plain(/** @type {Headers} */ headers) {
  if (!headers.has("content-encoding")) return headers;
  const decoded = new Headers(headers);
  decoded.delete("content-encoding");
  decoded.delete("content-length");
  return decoded;
}

/**
 * Returns a stream of what `step` makes of each slice of another; it breaks off where that is `undefined`. One of `end` and
 * `leave` is called: the first where it is read to its end.
 *
 * @param {ReadableStream<Uint8Array>} source
 * @param {(slice: Uint8Array, isLast: boolean) => Promise<Uint8Array | undefined>} step
 * @param {() => void} [end]
 * @param {() => void} [leave]
 * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
 */
function through(source, step, end = () => {}, leave = () => {}) {
  const reader = source.getReader();
  const next = async (/** @type {ReadableStreamDefaultController} */ controller) => {
    for (;;) {
      const { done, value } = await reader.read();
      const bytes = await step(value ?? NOTHING, done);
      if (!bytes) throw new Error("broken off");
      if (bytes.length > 0) controller.enqueue(bytes);
      if (done) {
        controller.close();
        return end();
      }
      if (bytes.length > 0) return;
    }
  };
  const breakOff = (/** @type {unknown} */ reason) => {
    leave();
    // What was read may have failed already.
    return reader.cancel(reason).catch(() => {});
  };
  return new ReadableStream(
    {
      pull: (controller) =>
        next(controller).catch((error) => {
          void breakOff(error);
          throw error;
        }),
      cancel: breakOff,
    },
    // Nothing is read before it is asked for.
    { highWaterMark: 0 },
  );
}

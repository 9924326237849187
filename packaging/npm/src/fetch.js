// Keyswap as a handler of requests in the form of the Fetch standard, for Deno, Bun, Node and servers like them.
//
// A handler sees requests only. What a server has beside them, such as WebSockets that are taken from the server itself,
// never reaches it: a server has to close those.
import { Gate } from "./engine.js";
import { serve, unavailable } from "./passage.js";

export { PolicyError } from "./engine.js";

/**
 * @template {unknown[]} Rest
 * @typedef {import("./engine.js").Options & { next?: (request: Request, ...rest: Rest) => Response | Promise<Response> }} Options
 */

/**
 * Returns a handler with a policy. `next` gets the requests that the policy passes on untouched, and what the server handed
 * over beside the request; without it a policy in shadow mode is refused.
 *
 * @template {unknown[]} [Rest=unknown[]]
 * @param {Options<Rest>} options
 * @throws {PolicyError} The policy does not hold.
 */
export function keyswap({ next, ...options }) {
  const gate = new Gate(options, next !== undefined);
  const handler = async (/** @type {Request} */ request, /** @type {Rest} */ ...rest) => {
    const answer = await serve(gate, request, options.fetch);
    if (!("passed" in answer)) return answer;
    return next ? next(answer.passed, ...rest) : unavailable();
  };
  return Object.assign(handler, { close: () => gate.close(), round: () => gate.round() });
}

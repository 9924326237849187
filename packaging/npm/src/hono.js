// Keyswap as a middleware of Hono, in every server that Hono runs in.
import { Gate } from "./engine.js";
import { serve } from "./passage.js";

export { PolicyError } from "./engine.js";

/** @import { MiddlewareHandler } from "hono" */

/**
 * Returns the middleware for a policy. Routes behind it get the requests that the policy passes on untouched.
 *
 * @param {import("./engine.js").Options} options
 * @throws {import("./engine.js").PolicyError} The policy does not hold.
 */
export function keyswap(options) {
  const gate = new Gate(options, true);
  /** @type {MiddlewareHandler} */
  const middleware = async (context, next) => {
    const answer = await serve(gate, context.req.raw, options.fetch);
    if (!("passed" in answer)) return answer;
    context.req.raw = answer.passed;
    return next();
  };
  return Object.assign(middleware, { close: () => gate.close(), round: () => gate.round() });
}

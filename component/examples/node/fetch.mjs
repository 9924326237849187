// A handler of the Fetch standard with Keyswap in it: in Deno, Bun or Node, with the policy in KEYSWAP_POLICY and the secrets
// that it names in the environment. PORT is where it listens.
import { keyswap } from "keyswap/fetch";

const handler = keyswap({
  policy: process.env.KEYSWAP_POLICY,
  // This process is the only one at its address, so it can count.
  counts: true,
  next: () => new Response(null, { status: 404 }),
});

const at = { port: Number(process.env.PORT ?? 8080), hostname: "127.0.0.1" };
const tell = ({ port }) => console.error(`listening on http://127.0.0.1:${port}`);
if (globalThis.Deno) {
  Deno.serve({ ...at, onListen: tell }, handler);
} else if (globalThis.Bun) {
  // Bun ends a connection that is quiet for long: an answer may take minutes to begin.
  tell(Bun.serve({ ...at, fetch: handler, idleTimeout: 255 }));
} else {
  const { serve } = await import("@hono/node-server");
  serve({ ...at, fetch: handler }, tell);
}

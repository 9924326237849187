// A server of Hono with Keyswap in it: node hono.mjs, with the policy in KEYSWAP_POLICY and the secrets that it names in the
// environment. PORT is where it listens.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { keyswap } from "keyswap/hono";

const app = new Hono();
// This process is the only one at its address, so it can count.
app.use(keyswap({ policy: process.env.KEYSWAP_POLICY, counts: true }));

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8080), hostname: "127.0.0.1" }, ({ port }) => {
  console.error(`listening on http://127.0.0.1:${port}`);
});

// A server of Express with Keyswap in it: node express.mjs, with the policy in KEYSWAP_POLICY and the secrets that it names in
// the environment. PORT is where it listens.
import express from "express";
import { keyswap } from "keyswap/express";

const app = express();
app.disable("x-powered-by");
// This process is the only one at its address, so it can count.
const gate = keyswap({ policy: process.env.KEYSWAP_POLICY, counts: true });
app.use(gate);

const server = app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.error(`listening on http://127.0.0.1:${server.address().port}`);
});
gate.guard(server);

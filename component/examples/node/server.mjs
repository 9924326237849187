// A server of Express with Keyswap in it: node server.mjs FOLDER, with the policy in KEYSWAP_POLICY and the secrets that it
// names in the environment. FOLDER is the one that `transpile.mjs` wrote; PORT is where it listens.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import express from "express";
import { keyswap } from "./keyswap.mjs";

const { authorizer } = await import(pathToFileURL(resolve(process.argv[2], "authorizer.js")));
const app = express();
app.disable("x-powered-by");
const gate = keyswap({ Engine: authorizer.Engine, policy: process.env.KEYSWAP_POLICY });
app.use(gate);

const server = app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.error(`listening on http://127.0.0.1:${server.address().port}`);
});
gate.guard(server);

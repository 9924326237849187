// A server of Express whose program takes every upgrade and CONNECT that reaches it, with Keyswap in front: node gate.mjs, with
// the policy in KEYSWAP_POLICY.
import express from "express";
import { keyswap } from "keyswap/express";

const gate = keyswap({ policy: process.env.KEYSWAP_POLICY, counts: true });
const tell = (kind) => console.error(`the application has a connection of the type ${kind}`);
const app = express();
// What reads the body before Keyswap leaves nothing to forward.
app.use("/v1/responses", express.json());
app.use(gate);
app.use((request, response) => {
  tell("http");
  response.status(204).end();
});

const server = app.listen(Number(process.env.PORT), "127.0.0.1", () => {
  console.error(`listening on http://127.0.0.1:${server.address().port}`);
});
const accept = (status, kind) => (request, socket) => {
  tell(kind);
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
};
server.on("upgrade", accept("101 Switching Protocols", "upgrade"));
gate.guard(server);
// What is added later is guarded, too.
server.on("connect", accept("200 OK", "connect"));

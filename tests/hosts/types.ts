// What programs write with the package for Node: `tsc` accepts it, and finds what is wrong.
import http from "node:http";
import express from "express";
import { Hono } from "hono";
import { authorizer, Gate, PolicyError } from "keyswap";
import { keyswap as inExpress } from "keyswap/express";
import { keyswap as inFetch } from "keyswap/fetch";
import { keyswap as inHono } from "keyswap/hono";

const options = { policy: { version: "keyswap/v1" }, counts: true, log: (line: string) => console.log(line) };

const gate = inExpress({ ...options, variables: process.env });
express().use(gate).use("/v1", gate);
gate.guard(http.createServer((request, response) => gate(request, response, () => response.end())));

new Hono().use(inHono(options)).use("/v1/*", inHono(options));

const handler: (request: Request) => Promise<Response> = inFetch({ policy: "{}" });
inFetch({ policy: "{}", next: (request: Request, place: { port: number }) => new Response(`${request.url} ${place.port}`) });
await handler(new Request("http://h/"));
await inFetch({ policy: "{}" }).round();

const { Engine } = authorizer();
const head = { method: "GET", target: "/", fields: [{ name: "host", value: new Uint8Array() }] };
const step = Engine.create("{}", [], { counts: false, upgrades: false, injectsCredentials: false, passes: false }, "n").judge(head, 0n);
if (step.tag === "reply") step.val.status.toFixed();
const decision = await new Gate({ policy: "{}" }, false).judge(head);
if (decision.tag === "forward") decision.val.exchange.finished(0n);
new PolicyError([]).errors.map(({ path, message }) => path + message);

// @ts-expect-error a policy is needed
inExpress({});
// @ts-expect-error an option of another name
inHono({ policy: "{}", count: true });
// @ts-expect-error a handler takes a request
await handler("http://h/");
// @ts-expect-error a handler upgrades nothing
inFetch({ policy: "{}" }).guard;
// @ts-expect-error a call is no decision
if (decision.tag === "call") process.exit();

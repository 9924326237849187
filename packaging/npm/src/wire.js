// Heads between the engine, which takes values as bytes, and servers, which have them as text.

/** @import { Field } from "../dist/interfaces/keyswap-auth-authorizer.js" */

/** Returns the bytes of a value, which has one character a byte. */
export function bytesOf(/** @type {string} */ text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    // Cut off, it would be another value than the upstream's.
    if (code > 0xff) throw new TypeError("a value of the head is not bytes");
    bytes[at] = code;
  }
  return bytes;
}

/** Returns a value as text, one character a byte. */
export function textOf(/** @type {Uint8Array} */ value) {
  let text = "";
  for (const byte of value) text += String.fromCharCode(byte);
  return text;
}

/** Returns the bytes of a body that the engine wrote. */
export const encoded = (/** @type {string} */ body) => new TextEncoder().encode(body);

/**
 * Returns the URL of a request that the engine wrote. `fetch` sends what a URL becomes by parsing, so a target that would
 * become another is an error.
 *
 * @param {boolean} https
 * @param {string} authority
 * @param {string} target
 */
export function urlOf(https, authority, target) {
  const url = new URL(`${https ? "https" : "http"}://${authority}${target}`);
  if (url.href !== `${url.origin}${target}`) throw new TypeError("a target that no URL has");
  return url;
}

/**
 * Returns the lines of a head for `fetch`. An answer comes as it is: `fetch` would decode one that is compressed, and hand on
 * the line that says it is.
 *
 * @param {Field[]} fields
 */
export function headersOf(fields) {
  const headers = new Headers();
  for (const { name, value } of fields) headers.append(name, textOf(value));
  headers.set("accept-encoding", "identity");
  // The server has met the caller's expectation, and `fetch` takes none.
  headers.delete("expect");
  return headers;
}

/**
 * Returns the lines of a `Request` or a `Response`. Lines of one name come as one, but for `set-cookie`.
 *
 * @param {Iterable<[string, string]>} headers
 * @returns {Field[]}
 */
export const fieldsOf = (headers) => Array.from(headers, ([name, value]) => ({ name, value: bytesOf(value) }));

// The authorizer as an ES module: `dist` is made of the component when the package is packed.
import { readFileSync } from "node:fs";
import { instantiate } from "../dist/authorizer.js";

/** @type {Map<string, WebAssembly.Module>} */
const modules = new Map();

/** Reads and compiles a module of the component, once a process. */
function compiled(/** @type {string} */ name) {
  let module = modules.get(name);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(new URL(`../dist/${name}`, import.meta.url)));
    modules.set(name, module);
  }
  return module;
}

/** Returns a new instance of the authorizer: the interface `keyswap:auth/authorizer` of its WIT. */
export const authorizer = () => instantiate(compiled, {}).authorizer;

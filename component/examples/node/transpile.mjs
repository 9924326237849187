// Makes an ES module of the authorizer: node transpile.mjs keyswap-authorizer.wasm FOLDER
//
// With `@bytecodealliance/jco` it is: jco transpile keyswap-authorizer.wasm --name authorizer -o FOLDER
import { transpile, writeFiles } from "@bytecodealliance/jco-transpile";

const [component, outDir] = process.argv.slice(2);
const { files } = await transpile(component, { name: "authorizer", outDir });
await writeFiles(files);

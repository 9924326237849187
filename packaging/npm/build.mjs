// Makes an ES module of the authorizer, in the folder `dist`: node build.mjs keyswap-authorizer.wasm
import { transpile, writeFiles } from "@bytecodealliance/jco-transpile";

const options = { name: "authorizer", outDir: "dist", instantiation: "sync" };
const { files } = await transpile(process.argv[2], options);
await writeFiles(files);

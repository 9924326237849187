// Asks the search of a built book, with the index and the engine that its pages load. Arguments: the folder of the book,
// then words. Prints a line for each word: the pages found, the best first.
import { readdirSync, readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const [folder, ...queries] = process.argv.slice(2);
const window = {};
const context = createContext({ window });
for (const name of ["elasticlunr-", "searchindex-"]) {
  const file = readdirSync(folder).find((file) => file.startsWith(name) && file.endsWith(".js"));
  window.search ??= {};
  runInContext(readFileSync(`${folder}/${file}`, "utf8"), context);
  if (name === "elasticlunr-") window.elasticlunr ??= context.elasticlunr;
}
const { index, doc_urls: urls, search_options: options } = window.search;
const engine = window.elasticlunr.Index.load(index);
for (const query of queries) {
  const pages = engine.search(query, options).map(({ ref }) => urls[ref].split("#")[0]);
  console.log([...new Set(pages)].slice(0, 20).join(" "));
}

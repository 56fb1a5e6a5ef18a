// CommonJS that requires a sibling, reads JSON by its relative path, and imports an ES module.
const fs = require("node:fs");
const { greet } = require("./greeting");

const { names } = JSON.parse(fs.readFileSync("data/names.json", "utf8"));
for (const name of names) console.log(greet(name));

import("./total.mjs").then(({ total }) => console.log(`${total(names)} letters`));

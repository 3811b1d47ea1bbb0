// A process that is started before it is known which function it is for.
//
// Such a process has loaded the runtime and waits, in a sandbox of its own that nobody else has been in, until it is
// given the variables of its function. It is told how by one variable, which names the descriptor to read them from.
// Knows nothing of functions: what it holds while it waits is the same for all.
"use strict";

const fs = require("node:fs");
const { format } = require("node:util");

const VARIABLE = "_LAMBENT_HEAD_START";

// What most functions will need, done ahead: it takes ten times as long as what is left to do for a small function.
async function prepare() {
  require("./loader.cjs");
  await import("./layer_hooks.mjs"); // sets up the loader of modules; installs nothing
  format({ of: ["values", null] }); // console.log of an object
}

// Blocks until the function is known; from then on process.env and the working directory are as if the process had been
// started for it.
function waitForFunction() {
  const descriptor = Number(process.env[VARIABLE]);
  const given = new Map(readAll(descriptor).split("\0").filter(Boolean).map(nameAndValue));
  fs.closeSync(descriptor);
  const env = process.env;
  for (const name of Object.keys(env)) if (!given.has(name)) delete env[name];
  for (const [name, value] of given) if (env[name] !== value) env[name] = value;
  if (given.size === 0) process.exit(); // nobody wants it any more
  process.chdir(env.LAMBDA_TASK_ROOT); // mounted only now: what we have been in until here lies below it
}

function readAll(descriptor) {
  const parts = [];
  for (;;) {
    const part = Buffer.allocUnsafe(65536);
    const length = fs.readSync(descriptor, part);
    if (length === 0) return Buffer.concat(parts).toString();
    parts.push(part.subarray(0, length));
  }
}

function nameAndValue(text) {
  const equals = text.indexOf("=");
  return [text.slice(0, equals), text.slice(equals + 1)];
}

module.exports = { prepare, waitForFunction };

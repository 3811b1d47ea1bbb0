// Makes `import` find the modules of layers, before the SDK and after the function's own: the order require() has.
"use strict";

const Module = require("node:module");
const { pathToFileURL } = require("node:url");

const SDK = "/var/node_modules";

// directories: the node_modules of layers that exist
function install(directories) {
  const pathsOf = Module._nodeModulePaths;
  Module._nodeModulePaths = (from) => pathsOf(from).filter((entry) => entry !== SDK); // NODE_PATH has it, last
  const parents = directories
    .filter((directory) => directory.endsWith("/node_modules"))
    .map((directory) => pathToFileURL(directory.replace(/node_modules$/, "_.mjs")).href);
  if (typeof Module.registerHooks === "function") {
    Module.registerHooks({ resolve: (specifier, context, next) => resolve(specifier, context, next, parents) });
  } else {
    const url = pathToFileURL(require.resolve("./layer_hooks.mjs"));
    Module.register(url, { data: parents });
  }
}

function isBare(specifier) {
  return !/^(?:[./]|[a-z][a-z0-9+.-]*:)/i.test(specifier);
}

function resolve(specifier, context, next, parents) {
  if (!isBare(specifier)) return next(specifier, context);
  let found;
  let failure;
  try {
    found = next(specifier, context);
    if (!found.url.startsWith(`file://${SDK}/`)) return found;
  } catch (error) {
    failure = error;
  }
  for (const parentURL of parents) {
    try {
      return next(specifier, { ...context, parentURL });
    } catch (error) {
      if (error.code !== "ERR_MODULE_NOT_FOUND" && error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  if (failure !== undefined) throw failure;
  return found;
}

module.exports = { install, isBare, SDK };

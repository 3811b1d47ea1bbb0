// Finds and loads the handler `_HANDLER` names: `directory/module.export`, the export possibly nested.
"use strict";

const { existsSync, readFileSync } = require("node:fs");
const path = require("node:path");
const { runtimeError } = require("./errors.cjs");

// The handler function. `requireFrom` and `importModule` belong to the entry point: its name shows in the "Require
// stack" of errors. `modern`: from Node.js 24 on everything is imported, before that CommonJS files are required.
async function load(taskRoot, handlerName, requireFrom, importModule, modern) {
  if (handlerName.includes("..")) {
    const advice = "is not a valid handler name. Use absolute paths when specifying root directories in handler names.";
    throw runtimeError("MalformedHandlerName", `'${handlerName}' ${advice}`);
  }
  const base = path.basename(handlerName);
  const directory = handlerName.slice(0, handlerName.indexOf(base));
  const dot = base.indexOf(".");
  if (dot < 0) throw runtimeError("MalformedHandlerName", "Bad handler");
  usePathsOfLayers();
  const place = { taskRoot, directory, name: base.slice(0, dot) };
  const module = await loadModule(place, requireFrom, importModule, modern);
  return pick(module, base.slice(dot + 1), handlerName, modern);
}

async function loadModule(place, requireFrom, importModule, modern) {
  const file = path.resolve(place.taskRoot, place.directory, place.name);
  try {
    for (const extension of ["", ".js", ".mjs", ".cjs"]) {
      const candidate = file + extension;
      if (!existsSync(candidate)) continue;
      const imported = modern || extension === ".mjs" || (extension === ".js" && isModulePackage(path.dirname(file)));
      const module = imported ? await importModule(candidate) : requireFrom(candidate);
      if (module) return module;
    }
    const directory = modern ? path.join(place.taskRoot, place.directory) : place.directory;
    return requireFrom(requireFrom.resolve(place.name, { paths: [place.taskRoot, directory] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw runtimeError("UserCodeSyntaxError", String(error), modern ? error : undefined);
    }
    if (error && error.code === "MODULE_NOT_FOUND") throw runtimeError("ImportModuleError", String(error));
    throw error;
  }
}

// Whether the nearest package.json says "type": "module".
function isModulePackage(directory) {
  if (directory.endsWith("/node_modules")) return false;
  const file = path.join(directory, "package.json");
  if (existsSync(file)) {
    try {
      const description = JSON.parse(readFileSync(file, "utf8"));
      return Boolean(description) && description.type === "module";
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return directory !== "/" && isModulePackage(path.dirname(directory));
}

function pick(module, name, handlerName, modern) {
  let handler = nested(module, name);
  if (!handler && modern && module && typeof module === "object") handler = nested(module.default, name);
  if (!handler) throw runtimeError("HandlerNotFound", `${handlerName} is undefined or not exported`);
  if (typeof handler !== "function") throw runtimeError("HandlerNotFound", `${handlerName} is not a function`);
  return handler;
}

function nested(object, name) {
  return name.split(".").reduce((found, key) => found && found[key], object);
}

// NODE_PATH leads require() to the modules of layers and to the SDK. import ignores it: the SDK is found at
// /var/node_modules, layers only through hooks, which cost time and are installed only when a layer has modules.
const OF_LAYERS = /\/nodejs(\/node\d+)?\/node_modules$/; // below /opt, wherever that is without isolation
function usePathsOfLayers() {
  const layers = (process.env.NODE_PATH || "").split(":").filter((entry) => OF_LAYERS.test(entry));
  const present = layers.filter((entry) => existsSync(entry));
  if (present.length > 0) require("./layers.cjs").install(present);
}

module.exports = { load };

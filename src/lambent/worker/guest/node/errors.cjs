// Failures and how they are told: error payloads, X-Ray causes, and the runtime's own errors.
//
// The names, texts and layout are those AWS's runtime sends; callers and log readers match on them.
"use strict";

const { isNativeError } = require("node:util").types;

// Errors of the runtime itself; their names begin with "Runtime.".
function runtimeError(name, message, cause) {
  const error = new Error(message);
  Object.defineProperty(error, "name", { value: `Runtime.${name}`, configurable: true, writable: true });
  if (cause !== undefined && cause.stack && name === "UserCodeSyntaxError") error.stack = cause.stack;
  else error.stack = `${error.name}: ${message}${error.stack.slice(error.stack.indexOf("\n    at "))}`;
  return error;
}

function unhandledRejection(reason, promise) {
  const error = runtimeError("UnhandledPromiseRejection", String(reason));
  error.reason = reason;
  error.promise = promise;
  return error;
}

function looksLikeError(value) {
  return (
    isNativeError(value) ||
    (value && typeof value.name === "string" && typeof value.message === "string" && typeof value.stack === "string")
  );
}

// {errorType, errorMessage, trace} of whatever was thrown. ASCII DEL is escaped, as AWS's runtime does.
function payloadOf(thrown) {
  try {
    if (looksLikeError(thrown)) {
      return {
        errorType: escapeDelete(thrown.name),
        errorMessage: escapeDelete(thrown.message),
        trace: escapeDelete(thrown.stack).split("\n"),
      };
    }
    return { errorType: typeof thrown, errorMessage: thrown.toString(), trace: [] };
  } catch {
    return {
      errorType: "handled",
      errorMessage:
        "callback called with Error argument, but there was a problem while retrieving one or more of its message, " +
        "name, and stack",
    };
  }
}

function escapeDelete(text) {
  return text === undefined || !text.includes("\x7f") ? text : text.replace(/\x7f/g, "%7F");
}

// The error as one line of JSON for the log, with its own properties and those of errors inside it.
function forLog(thrown) {
  const error = thrown instanceof Error ? thrown : new Error(thrown);
  try {
    return "\t" + JSON.stringify(error, (_key, value) => withProperties(value));
  } catch {
    return "\t" + JSON.stringify(payloadOf(error));
  }
}

function withProperties(value) {
  if (!(value instanceof Error)) return value;
  const result = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === "string") result.stack = value.stack.split("\n");
  return result;
}

// JSON for the Lambda-Runtime-Function-XRay-Error-Cause header; empty when there is no telling.
function xrayCause(thrown) {
  try {
    const stack = typeof thrown.stack === "string" ? thrown.stack.split("\n").slice(1).map(xrayFrame) : [];
    const text = JSON.stringify({
      working_directory: process.cwd(),
      exceptions: [{ type: escapeDelete(thrown.name), message: escapeDelete(thrown.message), stack }],
      paths: [...new Set(stack.map((frame) => frame.path))],
    });
    return text.length < 1024 * 1024 ? escapeDelete(text) : "";
  } catch {
    return "";
  }
}

function xrayFrame(line) {
  const text = line.trim().replace(/[()]/g, "").replace(/^\S*\s/, "");
  const space = text.lastIndexOf(" ");
  const [path, number] = text.slice(space + 1).split(":");
  return { path, line: parseInt(number, 10), label: space > 0 ? text.slice(0, space) : "anonymous" };
}

module.exports = { runtimeError, unhandledRejection, payloadOf, forLog, xrayCause };

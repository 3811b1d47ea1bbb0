// Log records: the console of functions.
//
// With _LAMBDA_TELEMETRY_LOG_FD each record is a frame on that descriptor (big-endian: 4 bytes type, 4 bytes length, 8
// bytes microseconds since the epoch, the text as UTF-8), so that a record may have many lines. Without it, records are
// lines on stdout in which carriage returns stand for line breaks, as on AWS.
"use strict";

const fs = require("node:fs");
const { format } = require("node:util");
const { forLog } = require("./errors.cjs");

const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;
const HEADER = 16;
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 }; // << 2: the level bits of a frame's type
const REQUEST_ID = Symbol.for("aws.lambda.runtime.requestId");
const TENANT_ID = Symbol.for("aws.lambda.runtime.tenantId");

// Patches the console; the returned `logError(title, error)` writes the record of a failure. `noRequest` stands for the
// request id in records before the first invocation.
function patchConsole(noRequest) {
  const json = (process.env.AWS_LAMBDA_LOG_FORMAT || "").toUpperCase() === "JSON";
  const write = writer(json);
  const line = json ? jsonLine : textLine;
  const lowest = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || "").toUpperCase()] || LEVELS.TRACE;

  function method(level) {
    if (LEVELS[level] < lowest) return () => {};
    return (message, ...rest) => {
      const now = new Date();
      write(LEVELS[level], now, line(now, global[REQUEST_ID] || noRequest, level, message, rest));
    };
  }

  for (const level of Object.keys(LEVELS)) console[level.toLowerCase()] = method(level);
  console.log = console.info;
  return json
    ? (_title, error) => console.error(error instanceof Error ? error : new Error(error))
    : (title, error) => console.error(title, forLog(error));
}

function setInvocation(requestId, tenantId) {
  global[REQUEST_ID] = requestId;
  global[TENANT_ID] = tenantId;
}

function writer(json) {
  const given = process.env._LAMBDA_TELEMETRY_LOG_FD;
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  if (given === undefined) {
    return (_level, _now, text) => process.stdout.write(text.replace(/\n/g, "\r") + "\n");
  }
  const descriptor = Number(given);
  const base = json ? JSON_FRAME : TEXT_FRAME;
  const end = json ? "" : "\n";
  return (level, now, text) => writeFrame(descriptor, (base | (level << 2)) >>> 0, now.getTime(), text + end);
}

function writeFrame(descriptor, type, milliseconds, text) {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER + length);
  const micros = milliseconds * 1000;
  frame.writeUInt32BE(type, 0);
  frame.writeUInt32BE(length, 4);
  frame.writeUInt32BE(Math.floor(micros / 0x100000000), 8);
  frame.writeUInt32BE(micros % 0x100000000, 12);
  frame.utf8Write(text, HEADER);
  let written = 0;
  while (written < frame.length) {
    try {
      written += fs.writeSync(descriptor, frame, written);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // the pipe is full: wait a millisecond
    }
  }
}

function textLine(now, requestId, level, message, rest) {
  const text = rest.length === 0 && typeof message === "string" ? message : format(message, ...rest);
  return `${now.toISOString()}\t${requestId}\t${level}\t${text}`;
}

function jsonLine(now, requestId, level, message, rest) {
  const record = { timestamp: now.toISOString(), level, requestId };
  const tenantId = global[TENANT_ID];
  if (tenantId !== undefined) record.tenantId = tenantId;
  if (rest.length === 0) {
    try {
      return JSON.stringify({ ...record, message }, errorMembers);
    } catch {
      return JSON.stringify({ ...record, message: format(message) });
    }
  }
  record.message = format(message, ...rest);
  const error = [message, ...rest].find((item) => item instanceof Error);
  if (error !== undefined) Object.assign(record, describe(error));
  return JSON.stringify(record);
}

function describe(error) {
  return {
    errorType: (error.constructor && error.constructor.name) || "UnknownError",
    errorMessage: error.message,
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
  };
}

function errorMembers(_key, value) {
  return value instanceof Error ? { ...describe(value), ...value } : value;
}

module.exports = { patchConsole, setInvocation };

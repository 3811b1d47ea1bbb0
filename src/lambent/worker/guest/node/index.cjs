// Entry point of the Node.js runtimes, run as `/var/lang/bin/node [options] /var/runtime/index.cjs`.
//
// Behaves as AWS's runtime interface client: up to Node.js 22 callbacks and promises, from 24 on promises only. Knows
// Node.js and the files beside it. CommonJS, because starting with a module takes 5 ms more (measured on Node.js 20).
"use strict";

const { createRequire } = require("node:module");
const channel = require("./channel.cjs");
const { runtimeError, unhandledRejection, payloadOf, xrayCause } = require("./errors.cjs");
const { patchConsole, setInvocation } = require("./logs.cjs");
const { buildContext, callbacksFor } = require("./context.cjs");

const MODERN = Number(process.versions.node.split(".")[0]) >= 24;
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const CALLBACKS_REMOVED =
  "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to " +
  "modify this function to use a supported handler signature to use Node.js 24 or later. For more information see " +
  "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.";

// Runs invocations one after the other. The names of the class and its methods show in stack traces, as on AWS.
class Runtime {
  constructor(client, handler, logError) {
    this.client = client;
    this.handler = handler;
    this.logError = logError;
    this.atEmptyLoop = undefined; // what an empty event loop means at the moment
    this.failed = undefined; // how an error outside the handler is reported
  }

  async start() {
    let invocation = this.client.next();
    const handleOnce = MODERN ? this.handleOnce : this.handleOnceNonStreaming;
    for (;;) invocation = await handleOnce.call(this, await invocation);
  }

  // Promise of the next invocation, after the answer to this one.
  handleOnceNonStreaming({ headers, body }) {
    const id = begin(headers);
    let resolve;
    const next = new Promise((settle) => (resolve = settle));
    const { callback, context } = callbacksFor(
      this,
      (result) => resolve(this.succeed(id, serialize(result))),
      (error) => resolve(this.fail(id, error)),
    );
    this.failed = (error, done) => this.failAndStop(id, error, done);
    this.atEmptyLoop = () => resolve(this.succeed(id, "null"));
    try {
      const result = this.handler(JSON.parse(body), Object.assign(context, buildContext(headers)), callback);
      if (isPromise(result)) result.then(context.succeed, context.fail).catch(context.fail);
    } catch (error) {
      callback(error);
    }
    return next;
  }

  // As `handleOnceNonStreaming`, for handlers without callbacks. With an empty event loop and an unsettled promise the
  // process ends, as on AWS.
  async handleOnce({ headers, body }) {
    const id = begin(headers);
    let text;
    try {
      const result = await this.handler(JSON.parse(body), { ...buildContext(headers), xRayTraceId: trace(headers) });
      await new Promise((resolve) => setImmediate(resolve));
      text = serialize(result);
    } catch (error) {
      await new Promise((resolve) => setImmediate(resolve));
      return this.fail(id, error);
    }
    return this.succeed(id, text);
  }

  succeed(id, text) {
    this.failed = undefined;
    return this.client.respond(id, text, (status) => this.refused(status));
  }

  fail(id, error) {
    this.failed = undefined;
    this.logError("Invoke Error", error);
    const payload = payloadOf(error);
    const refused = (status) => this.refused(status);
    return this.client.fail(id, serialize(payload), payload.errorType, xrayCause(error), refused);
  }

  failAndStop(id, error, done) {
    const payload = payloadOf(error);
    this.client.failAndStop(id, serialize(payload), payload.errorType, xrayCause(error), done);
  }

  refused(status) {
    process.stderr.write(`[ERROR] LAMBDA_RUNTIME Failed to post handler response. Http response code: ${status}.\n`);
  }
}

function begin(headers) {
  const id = headers["lambda-runtime-aws-request-id"];
  setInvocation(id, headers["lambda-runtime-aws-tenant-id"]);
  const traceId = trace(headers);
  if (traceId) process.env._X_AMZN_TRACE_ID = traceId;
  else delete process.env._X_AMZN_TRACE_ID;
  return id;
}

function trace(headers) {
  return headers["lambda-runtime-trace-id"];
}

function isPromise(value) {
  return value && typeof value.then === "function";
}

function serialize(result) {
  try {
    const text = JSON.stringify(result === undefined ? null : result);
    return text === undefined ? "null" : text;
  } catch {
    if (MODERN) throw runtimeError("JSONStringifyError", "Unable to stringify response body");
    throw new Error("Unable to stringify response body");
  }
}

function setGlobals() {
  if (["1", "true"].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    ...globalThis.awslambda,
    streamifyResponse(handler) {
      handler[STREAMING] = "response";
      return handler;
    },
    HttpResponseStream: {
      from() {
        throw runtimeError("InvalidStreamingOperation", "Response streaming is not supported yet by this runtime.");
      },
    },
  };
}

function checkHandler(handler) {
  if (handler[STREAMING]) {
    const message = "Handlers wrapped in awslambda.streamifyResponse are not supported yet by this runtime.";
    throw runtimeError("MalformedStreamingHandler", message);
  }
  if (MODERN && handler.length >= 3) throw runtimeError("CallbackHandlerDeprecated", CALLBACKS_REMOVED);
  return handler;
}

async function loadHandler() {
  const { load } = require("./loader.cjs");
  const requireFrom = createRequire(`${__dirname}/index.mjs`); // the name that AWS's has in "Require stack" messages
  const importModule = (path) => import(path);
  const { LAMBDA_TASK_ROOT, _HANDLER } = process.env;
  return checkHandler(await load(LAMBDA_TASK_ROOT, _HANDLER, requireFrom, importModule, MODERN));
}

// Up to Node.js 22, errors nobody caught are reported as the result of the invocation, or of the initialisation.
function reportUncaught(client, logError, runtime) {
  const report = (error, code) => {
    const done = () => process.exit(code);
    if (runtime.failed !== undefined) runtime.failed(error, done);
    else failInit(client, error, done);
  };
  process.on("uncaughtException", (error) => {
    logError("Uncaught Exception", error);
    report(error, 129);
  });
  process.on("unhandledRejection", (reason, promise) => {
    const error = unhandledRejection(reason, promise);
    logError("Unhandled Promise Rejection", error);
    report(error, 128);
  });
  process.on("beforeExit", () => {
    const action = runtime.atEmptyLoop;
    if (action !== undefined) action();
  });
}

function failInit(client, error, done) {
  const payload = payloadOf(error);
  client.initError(serialize(payload), payload.errorType, done);
}

function overHttp() {
  const { RuntimeApi } = require("./client.cjs");
  return new RuntimeApi(process.env.AWS_LAMBDA_RUNTIME_API);
}

async function main() {
  if (process.env._LAMBENT_HEAD_START !== undefined) {
    const { prepare, waitForFunction } = require("./head_start.cjs");
    channel.connect();
    await prepare();
    waitForFunction();
  }
  const logError = patchConsole(MODERN ? "-" : "undefined");
  const client = channel.connect() ?? overHttp();
  const runtime = new Runtime(client, undefined, logError);
  if (!MODERN) reportUncaught(client, logError, runtime);
  setGlobals();
  try {
    runtime.handler = await loadHandler();
  } catch (error) {
    if (!MODERN) {
      setImmediate(() => {
        throw error; // for the listener above
      });
      return;
    }
    logError("Init Error", error);
    await new Promise((resolve) => failInit(client, error, resolve));
    process.exit(1);
  }
  runtime.start(); // not awaited: the process may end with an unsettled promise of the function
}

main();

// The `context` argument of handlers, and the ways to end an invocation up to Node.js 22.
//
// https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
"use strict";

function buildContext(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const env = process.env;
  return {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse(headers["lambda-runtime-client-context"], "ClientContext"),
    identity: parse(headers["lambda-runtime-cognito-identity"], "CognitoIdentity"),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    tenantId: headers["lambda-runtime-aws-tenant-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function parse(text, name) {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

// {callback, context}: of all the ways to end an invocation, only the first that does not throw counts.
// `loop.atEmptyLoop` is called when the event loop is empty.
function callbacksFor(loop, succeed, fail) {
  let waits = true;
  let completed = false;
  let finished = false;

  const complete = (result) => {
    if (completed) {
      console.error(
        "Invocation has already been reported as done. Cannot call complete more than once per invocation.",
      );
      return;
    }
    completed = true;
    succeed(result);
  };
  const once = (end) => (error, result) => {
    if (finished) return;
    loop.atEmptyLoop = undefined;
    end(error, result);
    finished = true;
  };
  const present = (error) => error !== undefined && error !== null;
  const done = once((error, result) => (present(error) ? fail(error) : complete(result)));
  const callback = once((error, result) => {
    if (present(error)) fail(error);
    else if (!waits) complete(result);
    else loop.atEmptyLoop = () => setImmediate(complete, result);
  });
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: (result) => done(null, result),
    fail: (error) => done(present(error) ? error : "handled"),
    done,
  };
  return { callback, context };
}

module.exports = { buildContext, callbacksFor };

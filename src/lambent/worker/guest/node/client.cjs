// The Runtime API over one raw, kept-alive connection.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The answer to an invocation and the request for the
// next go out in one write (HTTP/1.1 pipelining). The connection keeps the process alive only while an answer of the
// server is awaited, so that an empty event loop during an invocation is seen as such.
"use strict";

const net = require("node:net");

const PREFIX = "/2018-06-01/runtime";
const HEAD_END = Buffer.from("\r\n\r\n");

class RuntimeApi {
  // address: host:port, as in AWS_LAMBDA_RUNTIME_API
  constructor(address) {
    const colon = address.lastIndexOf(":");
    this._host = address.slice(0, colon);
    this._port = Number(address.slice(colon + 1));
    this._common = `Host: ${address}\r\nUser-Agent: aws-lambda-nodejs/${process.version}\r\n`;
    this._nextRequest = `GET ${PREFIX}/invocation/next HTTP/1.1\r\n${this._common}\r\n`;
    this._socket = undefined;
    this._awaited = []; // one callback (status, headers, body) for each request under way
    this._reset();
  }

  // Promise of the next invocation: {headers (lower-case names), body (text)}.
  next() {
    return this._awaitNext(() => this._send(this._nextRequest));
  }

  // Answers an invocation; promise of the next one. `refused(status)` is called when the answer was not accepted.
  respond(id, body, refused) {
    return this._answer(this._post(`/invocation/${encodeURIComponent(id)}/response`, body, ""), refused);
  }

  // Reports a failed invocation; otherwise as `respond`.
  fail(id, body, errorType, cause, refused) {
    return this._answer(this._failure(id, body, errorType, cause), refused);
  }

  // Reports a failed invocation and does not ask for another: for a process about to exit.
  failAndStop(id, body, errorType, cause, done) {
    this._awaited.push(done);
    this._send(this._failure(id, body, errorType, cause));
  }

  // Reports that the function could not be initialised.
  initError(body, errorType, done) {
    this._awaited.push(done);
    this._send(this._post("/init/error", body, headerLine("Lambda-Runtime-Function-Error-Type", errorType)));
  }

  _failure(id, body, errorType, cause) {
    const type = headerLine("Lambda-Runtime-Function-Error-Type", errorType);
    const xray = cause === "" ? "" : headerLine("Lambda-Runtime-Function-XRay-Error-Cause", cause);
    return this._post(`/invocation/${encodeURIComponent(id)}/error`, body, type + xray);
  }

  _post(path, body, headers) {
    const length = Buffer.byteLength(body);
    return (
      `POST ${PREFIX}${path} HTTP/1.1\r\n${this._common}Content-Type: application/json\r\n` +
      `Content-Length: ${length}\r\n${headers}\r\n${body}`
    );
  }

  _answer(request, refused) {
    this._awaited.push((status) => {
      if (status !== 202) refused(status);
    });
    return this._awaitNext(() => this._send(request + this._nextRequest));
  }

  _awaitNext(send) {
    return new Promise((resolve, reject) => {
      this._awaited.push((status, headers, body) => {
        if (status === 200) resolve({ headers, body });
        else reject(new Error(`invocation/next was answered with ${status}: ${body}`));
      });
      send();
    });
  }

  _send(text) {
    if (this._socket === undefined) this._connect();
    else this._socket.ref();
    this._socket.write(text);
  }

  _connect() {
    const onread = {
      buffer: Buffer.allocUnsafeSlow(65536),
      callback: (count, buffer) => this._received(count, buffer),
    };
    const socket = net.connect({ host: this._host, port: this._port, noDelay: true, onread });
    const closed = (error) => {
      if (this._socket !== socket) return;
      this._socket = undefined;
      this._reset();
      if (this._awaited.length > 0) {
        process.stderr.write(`the Runtime API closed the connection${error ? `: ${error.message}` : ""}\n`);
        process.exit(1);
      }
    };
    socket.on("error", closed);
    socket.on("close", () => closed());
    this._socket = socket;
  }

  _reset() {
    this._parts = []; // of an answer that has not come whole
    this._size = 0;
    this._needed = 0;
  }

  _received(count, buffer) {
    let data = buffer.subarray(0, count);
    if (this._parts.length > 0 || count < this._needed) {
      this._parts.push(Buffer.from(data));
      this._size += count;
      if (this._size < this._needed) return true;
      data = Buffer.concat(this._parts, this._size);
      this._reset();
    }
    while (data.length > 0) {
      const answer = parse(data);
      if (answer.needed !== undefined) {
        this._parts.push(Buffer.from(data));
        this._size = data.length;
        this._needed = answer.needed;
        return true;
      }
      data = data.subarray(answer.end);
      if (answer.status >= 200) this._deliver(answer); // 1xx answers announce the real one
    }
    return true;
  }

  _deliver(answer) {
    const deliver = this._awaited.shift();
    if (deliver === undefined) throw new Error("the Runtime API answered without being asked");
    if (answer.headers["connection"] === "close") this._reconnect();
    else if (this._awaited.length === 0) this._socket.unref();
    deliver(answer.status, answer.headers, answer.body);
  }

  // The server closes after this answer: a request for the next invocation sent with it was not read.
  _reconnect() {
    const old = this._socket;
    this._socket = undefined;
    old.destroy();
    if (this._awaited.length > 0) this._send(this._nextRequest);
  }
}

// One whole answer at the start of `data`: {status, headers, body, end}; {needed} when there is more to come: do not
// try before there are that many bytes.
function parse(data) {
  const headEnd = data.indexOf(HEAD_END);
  if (headEnd < 0) return { needed: data.length + 1 };
  const lines = data.utf8Slice(0, headEnd).split("\r\n");
  const headers = Object.create(null);
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index];
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(lines[0].slice(9, 12));
  const start = headEnd + 4;
  if (headers["transfer-encoding"] !== undefined && headers["transfer-encoding"].includes("chunked")) {
    return parseChunks(data, start, status, headers);
  }
  const end = start + Number(headers["content-length"] || 0);
  if (end > data.length) return { needed: end };
  return { status, headers, body: data.utf8Slice(start, end), end };
}

function parseChunks(data, start, status, headers) {
  const chunks = [];
  let position = start;
  for (;;) {
    const lineEnd = data.indexOf("\r\n", position);
    if (lineEnd < 0) return { needed: data.length + 1 };
    const length = parseInt(data.latin1Slice(position, lineEnd), 16);
    position = lineEnd + 2;
    if (length === 0) break;
    if (position + length + 2 > data.length) return { needed: position + length + 2 };
    chunks.push(data.subarray(position, position + length));
    position += length + 2;
  }
  for (;;) {
    const lineEnd = data.indexOf("\r\n", position); // trailers, then an empty line
    if (lineEnd < 0) return { needed: data.length + 1 };
    const empty = lineEnd === position;
    position = lineEnd + 2;
    if (empty) return { status, headers, body: Buffer.concat(chunks).toString(), end: position };
  }
}

function headerLine(name, value) {
  return `${name}: ${String(value).replace(/[\r\n]/g, " ")}\r\n`;
}

module.exports = { RuntimeApi };

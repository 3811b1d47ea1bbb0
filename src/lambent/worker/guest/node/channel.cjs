// The Runtime API over a socket of this environment's own, which the server has made for it.
//
// It says the same as `client.cjs` does over HTTP, in frames that take less to read and write: see the server's
// `worker/runtime_api/frames.py`. One frame there is one frame back. The socket keeps the process alive only while a
// frame of the server is awaited, so that an empty event loop during an invocation is seen as such.
"use strict";

const fs = require("node:fs");
const net = require("node:net");

const VARIABLE = "_LAMBENT_CHANNEL_FD";
const POST_HEAD = 12; // u8 kind, u8 length of request id, u16 of error type, u64 of body
const HEAD = 8; // u32 length of head, u32 of body
const RESPONSE = 1;
const ERROR = 2;
const INIT_ERROR = 3;
const AND_NEXT = 16;
// What the parts of an event are called over HTTP, in the order of the frame.
const NAMES = [
  "lambda-runtime-aws-request-id",
  "lambda-runtime-deadline-ms",
  "lambda-runtime-invoked-function-arn",
  "lambda-runtime-trace-id",
  "lambda-runtime-aws-tenant-id",
  "lambda-runtime-client-context",
  "lambda-runtime-cognito-identity",
];

let connected; // descriptor and channel

// The channel whose descriptor the environment names, the same at every call; undefined if it names none, or whoever
// started us closed it.
function connect() {
  const given = process.env[VARIABLE];
  delete process.env[VARIABLE];
  if (given === undefined) return undefined;
  if (connected !== undefined && connected[0] === given) return connected[1];
  try {
    if (!fs.fstatSync(Number(given)).isSocket()) return undefined;
  } catch {
    return undefined;
  }
  connected = [given, new Channel(Number(given))];
  return connected[1];
}

// The methods are those of `RuntimeApi` in client.cjs.
class Channel {
  constructor(fd) {
    const onread = {
      buffer: Buffer.allocUnsafeSlow(65536),
      callback: (count, buffer) => this._received(count, buffer),
    };
    this._socket = new net.Socket({ fd, readable: true, writable: true, onread });
    this._socket.on("error", (error) => this._closed(`: ${error.message}`));
    this._socket.on("close", () => this._closed(""));
    this._socket.unref();
    this._awaited = undefined; // callback (status, event or null, body)
    this._end = undefined; // how the connection ended
    this._parts = []; // of a frame that has not come whole
    this._size = 0;
    this._needed = HEAD;
  }

  next() {
    return this._answer(AND_NEXT, "", "", "", undefined);
  }

  respond(id, body, refused) {
    return this._answer(RESPONSE | AND_NEXT, id, "", body, refused);
  }

  fail(id, body, errorType, _cause, refused) {
    return this._answer(ERROR | AND_NEXT, id, String(errorType), body, refused);
  }

  failAndStop(id, body, errorType, _cause, done) {
    this._send(ERROR, id, String(errorType), body, done);
  }

  initError(body, errorType, done) {
    this._send(INIT_ERROR, "", String(errorType), body, done);
  }

  _answer(kind, id, errorType, body, refused) {
    return new Promise((resolve, reject) => {
      this._send(kind, id, errorType, body, (status, event, payload) => {
        if (event === null) {
          reject(new Error(`invocation/next was answered with ${status}: ${payload}`));
          return;
        }
        if (status !== 202) refused(status);
        const headers = Object.create(null);
        for (let index = 0; index < NAMES.length; index++) {
          if (event[index] !== null) headers[NAMES[index]] = event[index];
        }
        resolve({ headers, body: payload });
      });
    });
  }

  _send(kind, id, errorType, body, answered) {
    this._awaited = answered;
    if (this._end !== undefined) this._closed(this._end);
    this._socket.ref();
    const length = Buffer.byteLength(body);
    const type = Buffer.from(errorType).subarray(0, 65535);
    const idLength = Buffer.byteLength(id);
    const frame = Buffer.allocUnsafe(POST_HEAD + idLength + type.length + length);
    frame.writeUInt8(kind, 0);
    frame.writeUInt8(idLength, 1);
    frame.writeUInt16BE(type.length, 2);
    frame.writeUInt32BE(Math.floor(length / 0x100000000), 4);
    frame.writeUInt32BE(length % 0x100000000, 8);
    frame.utf8Write(id, POST_HEAD);
    type.copy(frame, POST_HEAD + idLength);
    frame.utf8Write(body, POST_HEAD + idLength + type.length);
    this._socket.write(frame);
  }

  _received(count, buffer) {
    let data = buffer.subarray(0, count);
    if (this._parts.length > 0 || count < this._needed) {
      this._parts.push(Buffer.from(data));
      this._size += count;
      if (this._size < this._needed) return true;
      data = Buffer.concat(this._parts, this._size);
      this._parts = [];
      this._size = 0;
    }
    const start = HEAD + data.readUInt32BE(0);
    const end = start + data.readUInt32BE(4);
    if (data.length < end) {
      this._parts.push(Buffer.from(data));
      this._size = data.length;
      this._needed = end;
      return true;
    }
    this._needed = HEAD;
    const [status, event] = JSON.parse(data.utf8Slice(HEAD, start));
    const answered = this._awaited;
    this._awaited = undefined;
    this._socket.unref();
    answered(status, event, data.utf8Slice(start, end));
    return true;
  }

  _closed(why) {
    this._end = why;
    if (this._awaited === undefined) return; // told when it matters
    process.stderr.write(`the Runtime API closed the connection${why}\n`);
    process.exit(1);
  }
}

module.exports = { connect };

// The same as resolve() in layers.cjs, for Node.js versions whose hooks run in a thread of their own.

import layers from "./layers.cjs";

let parents = [];

export function initialize(data) {
  parents = data;
}

export async function resolve(specifier, context, next) {
  if (!layers.isBare(specifier)) return next(specifier, context);
  let found;
  let failure;
  try {
    found = await next(specifier, context);
    if (!found.url.startsWith(`file://${layers.SDK}/`)) return found;
  } catch (error) {
    failure = error;
  }
  for (const parentURL of parents) {
    try {
      return await next(specifier, { ...context, parentURL });
    } catch (error) {
      if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    }
  }
  if (failure !== undefined) throw failure;
  return found;
}

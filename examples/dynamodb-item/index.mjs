// Turns an order into a DynamoDB item with an id of its own. The AWS SDK is part of the runtime: nothing is packaged.
import { randomUUID } from "node:crypto";
import { marshall } from "@aws-sdk/util-dynamodb";

export const handler = async (event) => {
  const order = { id: randomUUID(), createdAt: new Date().toISOString(), ...event };
  console.log("order", order.id);
  return marshall(order, { removeUndefinedValues: true });
};

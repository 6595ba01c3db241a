// Makes calls with the official SDK for Node: one JSON line in, one JSON line out, in order.
// The fields of a line are those that tests/e2e/node_sdk.py writes; one that names an agent is for
// agents.mjs, which is loaded with the first of them.

import { createInterface } from "node:readline";
import OpenAI from "openai";

function methodOf(client, path) {
  const names = path.split(".");
  const name = names.pop();
  const owner = names.reduce((object, key) => object[key], client);
  return (...given) => owner[name](...given);
}

async function* listed(client) {
  for await (const model of client.models.list()) yield model;
}

async function make(order, answer) {
  const { baseURL, apiKey, timeout, method, fields, stopAfter } = order;
  const client = new OpenAI({ baseURL, apiKey, timeout, maxRetries: 0 });
  if (method === "models.list") {
    answer.value = { data: await Array.fromAsync(listed(client)) };
  } else if (method === "models.retrieve") {
    answer.value = await client.models.retrieve(fields.model);
    answer.requestId = answer.value._request_id;
  } else if (method === "chat.completions.stream") {
    answer.value = await client.chat.completions.stream(fields).finalChatCompletion();
  } else if (fields.stream) {
    const { data: stream, response } = await methodOf(client, method)(fields).withResponse();
    answer.requestId = response.headers.get("x-request-id");
    for await (const chunk of stream) {
      answer.chunks.push(chunk);
      if (answer.chunks.length === stopAfter) break;
    }
  } else {
    answer.value = await methodOf(client, method)(fields);
    answer.requestId = answer.value._request_id;
  }
}

function failureOf(error) {
  return {
    kind: error.constructor.name,
    status: error.status ?? null,
    message: error.message,
    type: error.type ?? null,
    code: error.code ?? null,
    param: error.param ?? null,
    request_id: error.requestID ?? null,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = { value: {}, chunks: [], requestId: null, failure: null };
  try {
    const order = JSON.parse(line);
    if (order.agent === undefined) await make(order, answer);
    else answer.value = await (await import("./agents.mjs")).run(order);
  } catch (error) {
    answer.failure = failureOf(error);
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}

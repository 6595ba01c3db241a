// Agents in Node: each looks at an image, runs the one tool that its model calls, and answers in the end.
// An order names one of them, and has the fields that tests/e2e/node_agents.py writes.

import OpenAI from "openai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const MOST_STEPS = 4;

// Its warnings would go to standard output, which is for answers.
globalThis.AI_SDK_LOG_WARNINGS = (told) => console.error("AI SDK warns:", JSON.stringify(told));

function chatMessages({ question, image }) {
  const look = { type: "image_url", image_url: { url: image } };
  return [{ role: "user", content: [{ type: "text", text: question }, look] }];
}

async function openaiChat(order) {
  const { name, description, parameters } = order.tool;
  const client = new OpenAI({ ...order.connection, maxRetries: 0 });
  const tools = [{ type: "function", function: { name, description, parameters } }];
  const messages = chatMessages(order);
  const calls = [];
  for (let step = 0; step < MOST_STEPS; step++) {
    const fields = { model: order.model, messages, tools };
    const completion = order.streamed
      ? await client.chat.completions.stream(fields).finalChatCompletion()
      : await client.chat.completions.create(fields);
    const { message, finish_reason: reason } = completion.choices[0];
    if (reason !== "tool_calls") return { calls, text: message.content, reason };
    messages.push(message);
    for (const call of message.tool_calls) {
      calls.push(JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content: order.result });
    }
  }
}

async function openaiResponses(order) {
  const client = new OpenAI({ ...order.connection, maxRetries: 0 });
  const tools = [{ type: "function", strict: false, ...order.tool }];
  const look = { type: "input_image", detail: "auto", image_url: order.image };
  const input = [
    { role: "user", content: [{ type: "input_text", text: order.question }, look] },
  ];
  const calls = [];
  for (let step = 0; step < MOST_STEPS; step++) {
    const fields = { model: order.model, input, tools };
    const response = order.streamed
      ? await client.responses.stream(fields).finalResponse()
      : await client.responses.create(fields);
    const called = response.output.filter((item) => item.type === "function_call");
    if (called.length === 0) {
      return { calls, text: response.output_text, reason: response.status };
    }
    input.push(...response.output);
    for (const call of called) {
      calls.push(JSON.parse(call.arguments));
      input.push({ type: "function_call_output", call_id: call.call_id, output: order.result });
    }
  }
}

async function withAiSdk(order, model, providerOptions = {}) {
  const { name, description, parameters } = order.tool;
  const calls = [];
  const execute = async (input) => {
    calls.push(input);
    return order.result;
  };
  const look = { type: "image", image: order.image };
  const asked = {
    model,
    messages: [{ role: "user", content: [{ type: "text", text: order.question }, look] }],
    tools: { [name]: tool({ description, inputSchema: jsonSchema(parameters), execute }) },
    stopWhen: stepCountIs(MOST_STEPS),
    providerOptions,
    maxRetries: 0,
  };
  if (!order.streamed) {
    const { text, finishReason: reason } = await generateText(asked);
    return { calls, text, reason };
  }
  const failures = [];
  const streaming = streamText({ ...asked, onError: ({ error }) => failures.push(error) });
  let text = "";
  for await (const piece of streaming.textStream) text += piece;
  if (failures.length > 0) throw failures[0];
  return { calls, text, reason: await streaming.finishReason };
}

const AGENTS = {
  "openai-chat": openaiChat,
  "openai-responses": openaiResponses,
  "ai-sdk-compatible": (order) =>
    withAiSdk(
      order,
      createOpenAICompatible({ name: "syze", ...order.connection }).chatModel(order.model),
    ),
  // Nothing is stored here, so it has to send what was said, and not refer to it.
  "ai-sdk-responses": (order) =>
    withAiSdk(order, createOpenAI(order.connection).responses(order.model), {
      openai: { store: false },
    }),
};

export async function run(order) {
  return await AGENTS[order.agent](order);
}

"""The examples of the product's documentation, word for word.

They are what a customer copies, so they stand here as they are there; a test may put in its own base
URL and key, which is all that a customer changes.
"""

BASE_URL = "https://llm.g4rrzx.my.id/v1"
KEY = "sk-syze-..."
MODEL = "anthropic/claude-haiku-4-5-20251001"

CURL = """\
curl https://llm.g4rrzx.my.id/v1/chat/completions \\
  -H "Authorization: Bearer $SYZE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "anthropic/claude-haiku-4-5-20251001",
    "messages": [{"role": "user", "content": "Say hi in one word"}]
  }'
"""

PYTHON = """\
from openai import OpenAI

client = OpenAI(
    api_key="sk-syze-...",
    base_url="https://llm.g4rrzx.my.id/v1",
)

response = client.chat.completions.create(
    model="anthropic/claude-haiku-4-5-20251001",
    messages=[{"role": "user", "content": "Say hi"}],
)
print(response.choices[0].message.content)
"""

NODE = """\
import OpenAI from "openai";

const client = new OpenAI({
  apiKey: "sk-syze-...",
  baseURL: "https://llm.g4rrzx.my.id/v1",
});

const response = await client.chat.completions.create({
  model: "anthropic/claude-haiku-4-5-20251001",
  messages: [{ role: "user", content: "Say hi" }],
});

console.log(response.choices[0].message.content);
"""

STREAMING_CURL = """\
# Stream with curl --no-buffer
curl -N https://llm.g4rrzx.my.id/v1/chat/completions \\
  -H "Authorization: Bearer $SYZE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "anthropic/claude-haiku-4-5-20251001",
    "messages": [{"role": "user", "content": "Count to 5"}],
    "stream": true
  }'
"""

EMBEDDING_BODY = """\
{
  "model": "text-embedding-3-small",
  "input": "Hello world"
}
"""

TOOL_BODY = """\
{
  "model": "anthropic/claude-sonnet-4-5-20250929",
  "messages": [{"role": "user", "content": "What's the weather in Jakarta?"}],
  "tools": [{
    "type": "function",
    "function": {
      "name": "get_weather",
      "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}}
      }
    }
  }]
}
"""

VISION_BODY = """\
{
  "model": "anthropic/claude-opus-4-7",
  "messages": [{
    "role": "user",
    "content": [
      {"type": "text", "text": "Describe this image"},
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}
    ]
  }]
}
"""


def customised(example: str, base_url: str, key: str) -> str:
    """The example with the two things changed that a customer changes."""
    assert BASE_URL in example
    return example.replace(BASE_URL, base_url).replace(KEY, key)

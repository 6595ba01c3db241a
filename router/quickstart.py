"""What a person sees who starts the gateway to try it: a base URL, a key, and lines that work."""

from typing import Final

from router.catalog.catalog import Catalog

QUICKSTART_MODEL: Final = "anthropic/claude-haiku-4-5-20251001"


def quickstart_model(catalog: Catalog) -> str | None:
    """Return a model to try: the documentation's own, else the first chat model; `None` if there is none."""
    if catalog.resolve(QUICKSTART_MODEL) is not None:
        return QUICKSTART_MODEL
    for route in catalog.listing():
        if route.model is not None and route.model.mode == "chat":
            return route.id
    return next((route.id for route in catalog.listing()), None)


def quickstart_text(base_url: str, secret: str, model: str | None) -> str:
    """Return the lines to print; `base_url` ends in `/v1`."""
    head = f"\n  Base URL  {base_url}\n  API key   {secret}\n"
    if model is None:
        return f"{head}\n  No model is known yet; GET {base_url}/models lists them.\n"
    return f"""{head}
curl:

  curl {base_url}/chat/completions \\
    -H "Authorization: Bearer {secret}" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hi in one word"}}]}}'

Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(api_key="{secret}", base_url="{base_url}")
  response = client.chat.completions.create(
      model="{model}", messages=[{{"role": "user", "content": "Say hi"}}]
  )
  print(response.choices[0].message.content)

Node.js (npm install openai):

  import OpenAI from "openai";
  const client = new OpenAI({{ apiKey: "{secret}", baseURL: "{base_url}" }});
  const response = await client.chat.completions.create({{
    model: "{model}", messages: [{{ role: "user", content: "Say hi" }}],
  }});
  console.log(response.choices[0].message.content);

Stop with Ctrl-C.
"""

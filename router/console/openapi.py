"""The OpenAPI document, read off the table of operations and the structs that they read and write.

Form as specified at https://spec.openapis.org/oas/v3.1.0.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from router.console.operation import Operation
from router.errors import ErrorBody
from router.version import VERSION

_REFERENCE: Final = "#/components/schemas/{name}"
_NAMED: Final = re.compile(r"\{(\w+)\}")
_ERROR: Final = {"$ref": "#/components/responses/Error"}

Json = dict[str, Any]


class ErrorEnvelope(msgspec.Struct):
    """What every error looks like."""

    error: ErrorBody


def openapi_document(operations: Iterable[Operation]) -> bytes:
    """Return the document about these operations, as JSON."""
    table = tuple(operations)
    types = [ErrorEnvelope, *(kind for one in table for kind in (one.answer, one.body) if kind)]
    references, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    named = iter(references[1:])
    paths: dict[str, Json] = {}
    for one in table:
        answer = next(named)
        body = next(named) if one.body is not None else None
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, answer, body)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "SyzeAI", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Error": _content(references[0], "An error")},
            "securitySchemes": {
                "operator": {"type": "http", "scheme": "bearer", "description": "The admin key"},
                "owner": {"type": "http", "scheme": "bearer", "description": "An API key"},
            },
        },
    }
    return msgspec.json.encode(document)


def _operation(one: Operation, answer: Json, body: Json | None) -> Json:
    found: Json = {
        "summary": one.summary,
        "operationId": getattr(one.handle, "__name__", one.summary),
        "tags": [one.path.split("/")[-1] if one.scope else one.path.split("/")[3]],
        "security": [{"owner": []} if one.scope else {"operator": []}],
        "parameters": [*_in_path(one.path), *_in_query(one), *_in_headers(one)],
        "responses": {str(one.status): _content(answer, "Done"), "default": _ERROR},
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _in_path(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _NAMED.findall(path)
    ]


def _in_query(one: Operation) -> list[Json]:
    schema = msgspec.json.schema_components([one.query])[1][one.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema["required"], "schema": field}
        for name, field in schema["properties"].items()
    ]


def _in_headers(one: Operation) -> list[Json]:
    if not one.idempotent:
        return []
    told = "What is said twice under one key counts once"
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": told,
            "schema": schema,
        }
    ]


def _content(schema: Json, description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}

"""What an endpoint says of itself at ``/openapi.json``, as OpenAPI 3.1."""

from collections.abc import Mapping
from typing import Any

from mlpipe_endpoint.replies import ID_HEADER, KEY_HEADER, VARIANT_HEADER
from mlpipe_endpoint.values import Deployment

_JSON = "application/json"
_ROWS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_BODIES = {
    _JSON: {
        "schema": {
            "anyOf": [
                _ROWS,
                {
                    "type": "object",
                    "properties": {"instances": _ROWS},
                    "required": ["instances"],
                },
            ]
        },
        "example": [[1.5, 2.0]],
    },
    "application/jsonlines": {"schema": {"type": "string"}, "example": "[1.5, 2.0]\n"},
    "text/csv": {"schema": {"type": "string"}, "example": "1.5,2.0\n"},
    "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
}
_ERROR = {
    "type": "object",
    "properties": {
        "__type": {"type": "string"},
        "ErrorCode": {"type": "string"},
        "Message": {"type": "string"},
        "OriginalStatusCode": {"type": "integer"},
        "OriginalMessage": {"type": "string"},
    },
    "required": ["ErrorCode", "Message"],
}
_REFUSALS = {
    "400": "The request, or with the container's path its body, is wrong.",
    "401": "The token is missing or wrong.",
    "408": "The headers or the body did not arrive in time.",
    "413": "The body is too large.",
    "429": "Too much is asked at once. Try again.",
    "431": "The headers are too long.",
    "500": "The answer could not be recorded, or with the container's path the model failed.",
    "503": "No variant that may answer is ready.",
}


def document(deployment: Deployment) -> dict[str, Any]:
    """Describe an endpoint.

    Args:
        deployment: What it serves.
    """
    name = deployment.name
    token = bool(deployment.access.token)
    page: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": f"Endpoint {name}", "version": "1"},
        "paths": {
            f"/endpoints/{name}/invocations": {"post": _invocation(deployment, runtime=True)},
            "/invocations": {"post": _invocation(deployment, runtime=False)},
            "/ping": {"get": {**_reading("Tell whether it answers.", _JSON), "security": []}},
            "/metrics": {"get": _reading("Give counts, as Prometheus reads them.", "text/plain")},
        },
        "components": {"schemas": {"Error": _ERROR}},
    }
    if token:
        page["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        page["security"] = [{"token": []}]
    return page


def _invocation(deployment: Deployment, *, runtime: bool) -> Mapping[str, Any]:
    refusals = dict(_REFUSALS)
    if runtime:
        refusals["424"] = "The model refused the request, or failed."
        said = "Ask the endpoint, as SageMaker's Runtime does."
    else:
        refusals["415"] = "The model does not read or write that content type."
        said = "Ask the endpoint, as a container of SageMaker's is asked."
    return {
        "summary": said,
        "operationId": "invokeEndpoint" if runtime else "invoke",
        "parameters": _parameters(deployment),
        "requestBody": {"required": True, "content": _BODIES},
        "responses": {
            "200": {
                "description": "The model's answer.",
                "headers": {ID_HEADER: _TEXT, VARIANT_HEADER: _TEXT},
                "content": {kind: {} for kind in _BODIES},
            },
            **_refused(refusals),
        },
    }


_TEXT = {"schema": {"type": "string"}}


def _parameters(deployment: Deployment) -> list[Mapping[str, Any]]:
    variants = {"type": "string", "enum": list(deployment.variants)}
    return [
        {
            "name": "X-Amzn-SageMaker-Target-Variant",
            "in": "header",
            "description": "The variant to ask, whatever the weights.",
            "schema": variants,
        },
        {
            "name": KEY_HEADER,
            "in": "header",
            "description": "Whom it is for: the same variant answers each time.",
            "schema": {"type": "string"},
        },
    ]


def _reading(said: str, kind: str) -> Mapping[str, Any]:
    refusals = {code: _REFUSALS[code] for code in ("401", "408", "431", "503")}
    answered = {"description": "It does.", "content": {kind: {}}}
    return {"summary": said, "responses": {"200": answered, **_refused(refusals)}}


def _refused(refusals: Mapping[str, str]) -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        code: {"description": said, "content": content} for code, said in sorted(refusals.items())
    }

"""The API over HTTP as an OpenAPI 3.1 document, made of the descriptors: paths, fields, bounds and comments.

Field names are those of the .proto files, as the edge writes them; bounds are those of buf.validate that JSON Schema
knows. Rules in CEL stay out: the gateway answers with the field that breaks one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from buf.validate import validate_pb2
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor

Json = dict[str, Any]
SERVICE_FIELD, METHOD_FIELD, MESSAGE_FIELD, MEMBER_FIELD = 6, 2, 4, 2  # of FileDescriptorProto and what is in it
SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
BOUNDS = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "gte": "minimum",
    "lte": "maximum",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
}
ERROR: Json = {
    "type": "object",
    "description": "google.rpc.Status: code, message, and details such as ErrorInfo, BadRequest and RetryInfo.",
    "properties": {
        "code": {"type": "integer", "format": "int32"},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object"}},
    },
}


class Comments:
    """The comment before each thing, found by its full name."""

    def __init__(self, files: list[descriptor_pb2.FileDescriptorProto]) -> None:
        self._of: dict[str, str] = {}
        for file in files:
            names = dict(_names(file))
            for location in file.source_code_info.location:
                text, name = location.leading_comments.strip(), names.get(tuple(location.path))
                if text and name:
                    self._of[name] = "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))

    def describe(self, name: str, schema: Json) -> Json:
        if name not in self._of:
            return schema
        texts = [self._of[name], schema.get("description")]
        return {**schema, "description": " ".join(text for text in texts if text)}


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Path of a location -> full name, for messages, fields, services and methods."""
    for kind, things in ((MESSAGE_FIELD, file.message_type), (SERVICE_FIELD, file.service)):
        for at, thing in enumerate(things):
            yield (kind, at), f"{file.package}.{thing.name}"
            for inner, member in enumerate(thing.field if kind == MESSAGE_FIELD else thing.method):
                yield (kind, at, MEMBER_FIELD, inner), f"{file.package}.{thing.name}.{member.name}"


def document(described: descriptor_pb2.FileDescriptorSet) -> Json:
    """OpenAPI of every method of shopfuse.v1 that has a path. `described` holds source info."""
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    ours = [file for file in described.file if file.package == "shopfuse.v1"]
    schemas, paths = Schemas(Comments(ours)), {}
    for file in ours:
        for method in _methods(pool.FindFileByName(file.name)):
            for verb, path, operation in _operations(method, schemas):
                paths.setdefault(path, {})[verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "shopfuse", "version": "v1"},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**dict(sorted(schemas.made.items())), "Status": ERROR},
            "securitySchemes": {"jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"jwt": []}],
    }


def _methods(file: FileDescriptor) -> Iterator[MethodDescriptor]:
    return (method for service in file.services_by_name.values() for method in service.methods)


def _operations(method: MethodDescriptor, schemas: Schemas) -> Iterator[tuple[str, str, Json]]:
    """(verb, path, operation) of each binding of a method."""
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    rule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        path = getattr(binding, verb)
        in_path = set(re.findall(r"{(\w+)}", path))
        operation: Json = {
            "operationId": f"{method.name}{'' if binding.body else 'ByGet'}",
            "tags": [method.containing_service.name],
        }
        if binding.body:
            operation["requestBody"] = {"required": True, "content": _json(schemas.message(method.input_type))}
        else:
            operation["parameters"] = list(_parameters(method.input_type, in_path, schemas))
        operation["responses"] = {
            "200": {"description": "The answer.", "content": _json(schemas.message(method.output_type))},
            "default": {"description": "An error.", "content": _json({"$ref": "#/components/schemas/Status"})},
        }
        yield verb, path, schemas.comments.describe(method.full_name, operation)


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _parameters(message: Descriptor, in_path: set[str], schemas: Schemas, prefix: str = "") -> Iterator[Json]:
    """Fields as parameters of a URL; those of messages by dotted names. Lists of messages fit no URL."""
    for field in message.fields:
        name = f"{prefix}{field.name}"
        inner = field.message_type
        if inner is not None and inner.file.package == "shopfuse.v1":
            if not field.is_repeated:
                yield from _parameters(inner, in_path, schemas, f"{name}.")
            continue
        place = "path" if name in in_path else "query"
        schema = schemas.field(field)
        text = schema.pop("description", None)
        yield {"name": name, "in": place, "required": place == "path", "schema": schema} | (
            {"description": text} if text else {}
        )


class Schemas:
    """JSON Schemas of messages, made once each."""

    def __init__(self, comments: Comments) -> None:
        self.comments = comments
        self.made: dict[str, Json] = {}

    def message(self, message: Descriptor) -> Json:
        if message.full_name == "google.protobuf.Timestamp":
            return {"type": "string", "format": "date-time"}
        if message.name not in self.made:
            self.made[message.name] = {}  # a message may hold itself
            fields = {field.name: self.field(field) for field in message.fields}
            self.made[message.name] = self.comments.describe(
                message.full_name, {"type": "object", "properties": fields}
            )
        return {"$ref": f"#/components/schemas/{message.name}"}

    def field(self, field: FieldDescriptor) -> Json:
        rules = _rules(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            schema: Json = {
                "type": "object",
                "additionalProperties": self._single(field.message_type.fields_by_name["value"]),
            }
        elif field.is_repeated:
            items = rules.repeated.items if rules.repeated.HasField("items") else validate_pb2.FieldRules()
            schema = {"type": "array", "items": self._single(field) | _bounds(items), **_bounds(rules)}
        else:
            schema = self._single(field) | _bounds(rules)
        return self.comments.describe(field.full_name, schema)

    def _single(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        return dict(SCALARS[field.type])


def _rules(field: FieldDescriptor) -> Any:
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return options.Extensions[validate_pb2.field]


def _bounds(rules: Any) -> Json:
    """The bounds that JSON Schema knows, of the rules for the field's type. Bytes are longer in text.

    A bound in bytes of UTF-8 is one of characters too, and says what it counts.
    """
    kind = rules.WhichOneof("type")
    if kind is None or kind == "bytes":
        return {}
    known = {rule.name: value for rule, value in getattr(rules, kind).ListFields()}
    bounds: Json = {BOUNDS[name]: value for name, value in known.items() if name in BOUNDS}
    if "max_bytes" in known:
        bounds |= {"maxLength": known["max_bytes"], "description": f"At most {known['max_bytes']} bytes of UTF-8."}
    return bounds

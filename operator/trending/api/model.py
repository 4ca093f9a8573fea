"""What all models of the resource share: camelCase outside, snake_case inside, descriptions from docstrings."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """An immutable object of the API; a field that the schema does not know is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        # A run's process starts sooner: of most models it never meets an object.
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add what is written below the fields; pydantic itself would read that from the source at each import."""
        from trending.api.descriptions import field_descriptions

        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name, text in field_descriptions(cls).items():
            properties[to_camel(name)].setdefault("description", text)
        return schema

    def to_json_object(self) -> dict[str, Any]:
        """Return the object as Kubernetes writes it: camelCase names, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Rule(NamedTuple):
    """A validation rule that the API server checks (CEL) and that our own models check in Python."""

    cel: str
    """A CEL expression that is true for a valid value; `self` is the value the rule hangs on."""
    message: str
    """What is wrong and what to write instead."""


def rules(*checked: Rule, **schema: Any) -> dict[str, Any]:
    """Return extra JSON schema that has the API server check these rules, in order."""
    validations = [{"rule": rule.cel, "message": rule.message} for rule in checked]
    return {**schema, "x-kubernetes-validations": validations}

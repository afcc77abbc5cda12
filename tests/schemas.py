"JSON schemas at random: nested, optional, with unions, bounds, formats, keys in any script, and recursion."
import random

KEYS = ["name", "age", "größe", "名前", "a b", "x", "ключ", "is_ok", "emoji🙂", 'quo"te', "list", "back\\slash"]
FORMATS = ["date", "time", "date-time", "email", "ipv4", "uuid", "duration", "ipv6", "uri"]
PATTERNS = ["^[a-z]{2,5}$", "^\\d{4}-\\d{2}$", "^(yes|no)$", "^[A-Z][a-z]* [A-Z][a-z]*$", "^#[0-9a-f]{6}$"]
VALUES = ["red", "grün", "", "a long one with words", 1, -5, 2.5, True, False, None, "🙂", 'with "quotes"']


class Schemas:
    "A generator of schemas; the same seed gives the same ones."
    def __init__(self, seed): self.random = random.Random(seed)

    def schema(self):
        self.definitions = ["A", "B"][:self.random.randint(0, 2)]
        schema = self.some(3)
        if self.definitions:
            named, self.names = {}, self.definitions
            for name in self.names: named[name] = self.definition(name)
            schema = {**schema, "$defs": named}
        return schema

    def definition(self, name):
        "An object that may have others of its kind, but need not."
        inner = {"anyOf": [{"type": "null"}, {"$ref": f"#/$defs/{name}"}]}
        items = {"type": "array", "items": {"$ref": f"#/$defs/{self.random.choice(self.names)}"}}
        properties = {"value": self.scalar(), "next": self.random.choice([inner, items])}
        return {"type": "object", "properties": properties, "required": self.random.choice([["value"], ["value", "next"], []]),
            "additionalProperties": False}

    def some(self, depth):
        kinds = [self.scalar, self.scalar, self.choice]
        if depth: kinds += [lambda: self.object(depth - 1), lambda: self.object(depth - 1), lambda: self.array(depth - 1),
            lambda: self.union(depth - 1), self.reference]
        return self.random.choice(kinds)()

    def scalar(self): return self.random.choice([self.text, self.text, self.integer, self.number, lambda: {"type": "boolean"},
        lambda: {"type": "null"}, lambda: {"type": ["string", "null"]}])()

    def text(self):
        kind = self.random.randint(0, 4)
        if kind == 0: return {"type": "string", "format": self.random.choice(FORMATS)}
        if kind == 1: return {"type": "string", "pattern": self.random.choice(PATTERNS)}
        if kind == 2: return {"type": "string"}
        least = self.random.randint(0, 6)
        return {"type": "string", **({"minLength": least} if self.random.random() < 0.6 else {}),
            **({"maxLength": least + self.random.randint(0, 20)} if self.random.random() < 0.6 else {})}

    def integer(self):
        least = self.random.randint(-200, 2000)
        return {"type": "integer", **({"minimum": least} if self.random.random() < 0.5 else {}),
            **({"maximum": least + self.random.randint(0, 300)} if self.random.random() < 0.5 else {}),
            **({"multipleOf": self.random.randint(1, 5)} if self.random.random() < 0.05 else {})}

    def number(self):
        least = self.random.uniform(-20, 20)
        return {"type": "number", **({"minimum": round(least, 2)} if self.random.random() < 0.4 else {}),
            **({"exclusiveMaximum": round(least + self.random.uniform(0.5, 20), 1)} if self.random.random() < 0.4 else {})}

    def choice(self):
        values = self.random.sample(VALUES, self.random.randint(1, 4))
        return {"const": values[0]} if self.random.random() < 0.2 else {"enum": values}

    def reference(self):
        return {"$ref": f"#/$defs/{self.random.choice(self.definitions)}"} if self.definitions else self.scalar()

    def union(self, depth): return {"anyOf": [self.some(depth) for _ in range(self.random.randint(2, 3))]}

    def array(self, depth):
        if self.random.random() < 0.15:
            items = [self.some(depth) for _ in range(self.random.randint(1, 3))]
            return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
        least = self.random.randint(0, 3)
        return {"type": "array", "items": self.some(depth), **({"minItems": least} if self.random.random() < 0.5 else {}),
            **({"maxItems": least + self.random.randint(0, 4)} if self.random.random() < 0.5 else {}),
            **({"uniqueItems": True} if self.random.random() < 0.03 else {})}

    def object(self, depth):
        keys = self.random.sample(KEYS, self.random.randint(0, 5))
        properties = {key: self.some(depth) for key in keys}
        required = [key for key in keys if self.random.random() < 0.6]
        if self.random.random() < 0.15: return {"type": "object", "additionalProperties": self.some(depth)}
        return {"type": "object", "properties": properties, "required": required,
            **({"additionalProperties": False} if self.random.random() < 0.8 else {})}

"""Writes what a type checker has to know: a `.pyi` file beside each module, with the methods that `@patch` adds to a class.

`python -m tools.stubs` writes them anew, as a part of exporting. A checker reads a stub in the place of its module, so it
holds all public names; the patched methods of a class stand in the stub of the module that defines it.
"""
import ast
import re
from pathlib import Path

package = Path(__file__).parent.parent/"llama_nbchat"
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
HIDDEN = {"__getattr__", "__init_subclass__"}   # with the first of them, any misspelt name would be right


def modules():
    "All exported modules, by their path within the package."
    return {path.relative_to(package): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))
        if path.name != "_modidx.py" and "demo" not in path.parts}


def rooms():
    "The notebook of each module, by the module's full name."
    return {"llama_nbchat." + ".".join(path.with_suffix("").parts): found[1] for path in modules()
        if (found := re.search(r"File to edit: .*/(.+)\.ipynb", (package/path).read_text(encoding="utf-8")))}


def imported(module):
    "The modules of the package that a module imports, by their full names."
    *inner, name = module.split(".")[1:]
    tree = ast.parse((package/Path(*inner)/f"{name}.py").read_text(encoding="utf-8"))
    return {head.split()[1] for head in imports(tree, inner) if head.startswith("from llama_nbchat")}


def patched(function):
    "The class that a function is patched into, and how; None for a function like any other."
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if getattr(called, "id", None) != "patch": continue
        how = {keyword.arg for keyword in getattr(decorator, "keywords", ())}
        return ast.unparse(function.args.args[0].annotation), how
    return None


def is_public(name): return not name.startswith("_") or name.startswith("__") and name.endswith("__") and name not in HIDDEN


def optional(argument, default):
    "An argument whose default is None may be None."
    if isinstance(default, ast.Constant) and default.value is None and argument.annotation is not None:
        argument.annotation = ast.parse(f"({ast.unparse(argument.annotation)}) | None", mode="eval").body


def stub(function, how=(), within=False):
    "The head of a function, as a class or a module shows it."
    new = ast.parse(ast.unparse(function)).body[0]
    args = new.args
    for argument, default in zip(args.args[len(args.args) - len(args.defaults):], args.defaults): optional(argument, default)
    for argument, default in zip(args.kwonlyargs, args.kw_defaults): optional(argument, default)
    args.defaults = [ast.Constant(...) for _ in args.defaults]
    args.kw_defaults = [default and ast.Constant(...) for default in args.kw_defaults]
    if within and args.args: args.args[0].annotation = None
    kept = [decorator for decorator in new.decorator_list if ast.unparse(decorator) in ("property", "contextmanager", "staticmethod", "classmethod")]
    added = {"as_prop": "property", "cls_method": "classmethod"}
    new.decorator_list = kept + [ast.Name(added[way]) for way in how if way in added]
    doc = ast.get_docstring(function)
    new.body = ([ast.Expr(ast.Constant(doc))] if doc else []) + [ast.Expr(ast.Constant(...))]
    return new


def attributes(definition):
    "What `__init__` sets on an object, and what the class itself has: each name with its type, as far as it is written."
    found = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign): found[node.target.id] = ast.unparse(node.annotation)
        if isinstance(node, ast.Assign): found.update(dict.fromkeys(names_in(node.targets), "Any"))
    init = next((node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    for node in ast.walk(init) if init else ():
        if not isinstance(node, ast.Assign): continue
        for target in node.targets:
            for part in getattr(target, "elts", [target]):
                if isinstance(part, ast.Attribute) and getattr(part.value, "id", "") == "self": found.setdefault(part.attr, "Any")
    return {name: kind for name, kind in found.items() if is_public(name)}


def names_in(targets):
    return [part.id for target in targets for part in getattr(target, "elts", [target]) if isinstance(part, ast.Name)]


def class_stub(definition, methods, later):
    "A class with its attributes, its own methods, and those that are patched in; `later` are attributes set on the class."
    dataclass = any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list)
    functions = [stub(node, within=True) for node in definition.body if isinstance(node, FUNCTIONS) and is_public(node.name)]
    functions += [stub(function, how, within=True) for function, how in methods if is_public(function.name)]
    own = {function.name for function in functions}
    kinds = {name: kind for name, kind in {**attributes(definition), **later}.items() if name not in own}
    fields = []
    for node in definition.body if dataclass else ():
        if isinstance(node, ast.AnnAssign): fields.append(ast.unparse(node.target) + ": " + ast.unparse(node.annotation) + (" = ..." if node.value else ""))
    lines = fields or [f"{name}: {kind}" for name, kind in kinds.items()]
    new = ast.ClassDef(definition.name, definition.bases, [], ast.parse("\n".join(lines)).body + functions or [ast.Expr(ast.Constant(...))],
        [decorator for decorator in definition.decorator_list if dataclass])
    doc = ast.get_docstring(definition)
    if doc: new.body.insert(0, ast.Expr(ast.Constant(doc)))
    return ast.fix_missing_locations(new)


def imports(tree, inner):
    "The imports of a module, by their absolute names."
    for node in tree.body:
        if isinstance(node, ast.Import): yield ast.unparse(node)
        if not isinstance(node, ast.ImportFrom): continue
        base = ["llama_nbchat", *inner][:1 + len(inner) + 1 - node.level] if node.level else []
        for alias in node.names: yield f"from {'.'.join([*base, node.module or '']).rstrip('.')} import {alias.name}"


def classes_of(tree, path):
    "The imports of the public classes that a module defines."
    module = ".".join(["llama_nbchat", *path.with_suffix("").parts])
    return {f"from {module} import {node.name}" for node in tree.body if isinstance(node, ast.ClassDef) and is_public(node.name)}


def stubs():
    "The text of each stub, by its path within the package."
    trees, texts = modules(), {}
    methods, needed, later = {}, {}, {}
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, FUNCTIONS) and (into := patched(node)):
                methods.setdefault(into[0], []).append((node, into[1]))
                needed.setdefault(into[0], set()).update(imports(tree, path.parts[:-1]))
                needed[into[0]].update(classes_of(tree, path))   # what it gives may be defined beside it
            for target in getattr(node, "targets", ()):
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and is_public(target.attr):
                    later.setdefault(target.value.id, {})[target.attr] = kind_of(node.value, tree)
    for path, tree in trees.items():
        if path.name == "__init__.py": continue
        classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        heads = dict.fromkeys(imports(tree, path.parts[:-1]))
        for name in sorted(classes & needed.keys()): heads.update(dict.fromkeys(sorted(needed[name])))
        own = ".".join(["llama_nbchat", *path.with_suffix("").parts])
        body = [class_stub(node, methods.get(node.name, ()), later.get(node.name, {})) if isinstance(node, ast.ClassDef) else stub(node)
            for node in tree.body if isinstance(node, ast.ClassDef) or isinstance(node, FUNCTIONS) and is_public(node.name) and not patched(node)]
        constants = [f"{name}: Any" for node in tree.body if isinstance(node, ast.Assign) for name in names_in(node.targets) if is_public(name)]
        listed = next((ast.unparse(node) for node in reversed(tree.body) if isinstance(node, ast.Assign) and "__all__" in names_in(node.targets)), "")
        text = "\n".join([*(line for line in constants if not line.startswith("__all__")), "",
            *(ast.unparse(ast.fix_missing_locations(node)) + "\n" for node in body)])
        used = [head for head in heads if f"from {own} " not in head and re.search(rf"\b{head.split()[-1]}\b", text)]
        texts[path.with_suffix(".pyi")] = "\n".join(["from __future__ import annotations", "from typing import Any",
            *(head for head in used if head != "from typing import Any"), "", listed, text])
    return texts


def kind_of(value, tree):
    "The type of a property that is made of functions of the module; anything else is anything."
    if not isinstance(value, ast.Call) or getattr(value.func, "id", "") != "property": return "Any"
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    read = functions.get(getattr(value.args[0], "id", ""))
    return ast.unparse(read.returns) if read is not None and read.returns is not None else "Any"


def main():
    for path, text in stubs().items(): (package/path).write_text(text, encoding="utf-8")


if __name__ == "__main__": main()

"""Reads the cells of a notebook that make a node; prints them as JSON.

    python notebook.py NOTEBOOK.ipynb

`krt new --from` runs this with the interpreter of the notebook's packages, whose versions it pins.
No code of the notebook runs. Standard output has one object: `code` (the node's `main.py`),
`requirements` (lines), `files` (each with `source` and `target`, relative to the notebook and to
the package), `modules` (files beside the notebook), `notes` (what the user should look at), or
`error` and `hint`.
"""

import ast
import builtins
import io
import json
import re
import sys
import tokenize
from importlib import metadata, util
from pathlib import Path

# Distributions whose import has another name, where they are not installed.
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "PIL": "Pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
# Modules that load objects of other packages, and the packages whose objects they load.
LOADERS = {"cloudpickle", "dill", "joblib", "pickle"}
MODELS = {"catboost", "lightgbm", "numpy", "pandas", "sklearn", "statsmodels", "torch", "xgboost"}
ROLES = ("init", "handler")
PARAMETERS = {"init": ["ctx"], "handler": ["ctx", "data"]}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_SIZE = 256 << 20


class RefusedError(Exception):
    """Why the notebook makes no node."""

    def __init__(self, error, hint):
        super().__init__(error)
        self.error, self.hint = error, hint


class Cell:
    """A code cell: its number as people count them, its tags, its code, and what it binds."""

    def __init__(self, number, tags, text):
        self.number, self.tags = number, tags
        self.text, self.body, self.fault = text, [], None
        try:
            self.body = ast.parse(text).body
        except SyntaxError:
            self.text = without_commands(text)
            try:
                self.body = ast.parse(self.text).body
            except SyntaxError as error:
                self.fault = error

    def defines(self, role):
        """Whether it has a function of this name."""
        return any(isinstance(node, FUNCTIONS) and node.name == role for node in self.body)

    def source(self, node):
        """The text of a statement, with its decorators and the comments above it."""
        lines = self.text.splitlines()
        decorators = [one.lineno for one in getattr(node, "decorator_list", [])]
        first = min([node.lineno, *decorators]) - 1
        while first > 0 and lines[first - 1].startswith("#"):
            first -= 1
        return "\n".join(lines[first : node.end_lineno])


def without_commands(text):
    """The code of a cell without lines for IPython and the shell."""
    lines = text.splitlines()
    if text.startswith("%%"):
        # Other magics have no Python below them.
        lines = [] if not re.match(r"%%(time|timeit|capture|prun)\b", text) else ["", *lines[1:]]
    return "\n".join("" if re.match(r"\s*[%!?]|.*\?$", line) else line for line in lines)


def read(path):
    """The code cells of a notebook."""
    if path.stat().st_size > MAX_SIZE:
        raise RefusedError(
            f"`{path}` has more than {MAX_SIZE >> 20} MiB", "clear the outputs of its cells"
        )
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"] if notebook["nbformat"] >= 4 else None
    except (ValueError, KeyError, TypeError):
        raise RefusedError(
            f"`{path}` is not a notebook", "save it from Jupyter as .ipynb"
        ) from None
    if cells is None:
        hint = "convert it with `jupyter nbconvert --to notebook`"
        raise RefusedError(f"`{path}` has the format of an old Jupyter", hint)
    language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise RefusedError(
            f"`{path}` is a notebook in {language}", "only those in Python make nodes"
        )
    found = []
    for cell in cells:
        if cell.get("cell_type") == "code":
            text = cell.get("source", "")
            tags = cell.get("metadata", {}).get("tags", [])
            found.append(
                Cell(len(found) + 1, tags, text if isinstance(text, str) else "".join(text))
            )
    return found


def chosen(cells):
    """The cells of each role, in the notebook's order; a tag decides before a function's name."""
    roles = {}
    for role in ROLES:
        tagged = [cell for cell in cells if role in cell.tags]
        roles[role] = tagged or [cell for cell in cells if cell.defines(role)][-1:]
    if not roles["handler"]:
        raise RefusedError(
            "no cell is tagged `handler` or defines a function `handler`",
            "tag the cell that predicts: in JupyterLab, in the Property Inspector (the gear icon)",
        )
    for ones in roles.values():
        for cell in ones:
            if cell.fault:
                where = f"cell {cell.number}, line {cell.fault.lineno}"
                raise RefusedError(
                    f"{where}: {cell.fault.msg}", "the cells of the node must be Python"
                )
    if len(roles["handler"]) > 1:
        numbers = " and ".join(str(cell.number) for cell in roles["handler"])
        raise RefusedError(
            f"the cells {numbers} are all tagged `handler`", "leave the tag on one of them"
        )
    return roles


def bound(node):
    """The names that a statement binds in its module."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(name.asname or name.name).split(".")[0] for name in node.names}
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def used(nodes):
    """The names that statements read."""
    walked = [one for node in nodes for one in ast.walk(node)]
    return {one.id for one in walked if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def is_constant(node):
    """Whether a statement binds a name to a literal."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


def may_move(node):
    """Whether a statement of another cell can stand in the node's module: nothing runs by it."""
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS)) or is_constant(
        node
    )


def indented(text):
    """A text in a function; the lines of texts within it stay as they are."""
    inside = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING" or kind.startswith("FSTRING"):
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
    lines = enumerate(text.splitlines(), 1)
    return "\n".join(
        line if number in inside or not line else f"    {line}" for number, line in lines
    )


def function(role, cells, body):
    """The function of a role, of cells that are its body."""
    names = sorted(set().union(*(bound(node) for node in body)) - set(PARAMETERS[role]))
    texts = [cell.source(node) for cell in cells for node in cell.body if node in body]
    if role == "handler":
        last = body[-1] if body else None
        if not isinstance(last, ast.Expr):
            number = cells[-1].number
            hint = "end it with the answer, or define `handler(ctx, data)` in it"
            raise RefusedError(
                f"cell {number} is tagged `handler` and does not end with a value", hint
            )
        texts[-1] = returned(texts[-1])
    shared = [f"global {', '.join(names)}"] if names and role == "init" else []
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    is_async = any(isinstance(one, waits) for node in body for one in ast.walk(node))
    head = f"{'async ' * is_async}def {role}({', '.join(PARAMETERS[role])}):"
    return "\n".join([head, *(indented(text) for text in [*shared, *texts] or ["pass"])])


def returned(text):
    """The last expression of a cell as a return, below its comments."""
    lines = text.splitlines()
    first = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join([*lines[:first], f"return {lines[first]}", *lines[first + 1 :]])


def module(cells, roles):
    """The node's code, its syntax tree, and the names that it lacks."""
    functions, own = [], []
    for role in ROLES:
        bodies = [cell for cell in roles[role] if not cell.defines(role)]
        for cell in roles[role]:
            if cell.defines(role):
                own += [(cell, node) for node in cell.body]
            else:
                imports = (ast.Import, ast.ImportFrom)
                own += [(cell, node) for node in cell.body if isinstance(node, imports)]
        moved = [node for _, node in own]
        body = [node for cell in bodies for node in cell.body if node not in moved]
        if bodies:
            functions.append((role, bodies, body))
    texts = [function(*one) for one in functions]
    shared = {
        name
        for role, _, body in functions
        if role == "init"
        for node in body
        for name in bound(node)
    }
    wanted = [node for _, node in own] + [node for _, _, body in functions for node in body]
    known = {name for node in wanted for name in every_binding(node)} | shared | {"ctx", "data"}
    moved, lacking = [], {}
    names = sorted(used(wanted) - known - set(dir(builtins)))
    while names:
        name = names.pop()
        known.add(name)
        homes = [(cell, node) for cell in cells for node in cell.body if name in bound(node)]
        if not homes:
            continue
        cell, node = homes[-1]
        if may_move(node):
            moved.append((cell, node))
            known |= bound(node)
            names += sorted(used([node]) - known - set(dir(builtins)) - set(every_binding(node)))
        else:
            lacking[name] = cell.number
    pieces = sorted([*moved, *own], key=lambda one: (one[0].number, one[1].lineno))
    imports = [one for one in pieces if isinstance(one[1], (ast.Import, ast.ImportFrom))]
    others = [one for one in pieces if one not in imports]
    head = "\n".join(dict.fromkeys(cell.source(node) for cell, node in imports))
    blocks = [head] if head else []
    constants = [cell.source(node) for cell, node in others if is_constant(node)]
    blocks += ["\n".join(constants)] if constants else []
    blocks += [cell.source(node) for cell, node in others if not is_constant(node)]
    return "\n\n\n".join([*blocks, *texts]) + "\n", lacking


def every_binding(node):
    """The names that are bound anywhere in a statement, arguments of its functions among them."""
    names = set(bound(node))
    for one in ast.walk(node):
        if isinstance(one, ast.arg):
            names.add(one.arg)
        elif isinstance(one, (*FUNCTIONS, ast.ClassDef)):
            names.add(one.name)
        elif isinstance(one, (ast.Import, ast.ImportFrom)):
            names |= bound(one)
        elif isinstance(one, ast.ExceptHandler) and one.name:
            names.add(one.name)
        elif isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
            names.add(one.id)
    return names


def with_files(code, folder):
    """The code with the package's paths, the files it names, and the lines that still name some."""
    files, elsewhere, changes = {}, [], []
    tree = ast.parse(code)
    inside = {}
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name in ROLES and node.args.args:
            inside.update({id(one): node.args.args[0].arg for one in ast.walk(node)})
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        source = file_at(folder, node.value)
        if source is None:
            continue
        if id(node) not in inside:
            elsewhere.append((node.value, node.lineno))
            continue
        target = f"models/{Path(source).name}"
        files[source] = target
        changes.append((node, f'{inside[id(node)]}.path("{target}")'))
    lines = [line.encode() for line in code.splitlines()]
    for node, text in sorted(
        changes, key=lambda one: (one[0].lineno, one[0].col_offset), reverse=True
    ):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = (
            line[: node.col_offset] + text.encode() + line[node.end_col_offset :]
        )
    return b"\n".join(lines).decode() + "\n", files, elsewhere


def file_at(folder, name):
    """The path of a file below the notebook's folder, relative to it."""
    if not name or len(name) > 255 or "\0" in name or "\n" in name or Path(name).is_absolute():
        return None
    path = (folder / name).resolve()
    if not path.is_file() or folder.resolve() not in path.parents:
        return None
    return str(path.relative_to(folder.resolve()))


def roots(nodes):
    """The modules that statements import, by the first part of their names."""
    found = set()
    for node in nodes:
        for one in ast.walk(node):
            if isinstance(one, ast.Import):
                found |= {name.name.split(".")[0] for name in one.names}
            elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
                found.add(one.module.split(".")[0])
    return found


def requirements(code, cells, folder):
    """The lines of `requirements.txt`, the modules beside the notebook, and what has no version."""
    wanted, beside = roots(ast.parse(code).body), {}
    pending = sorted(wanted)
    while pending:
        name = pending.pop()
        path = folder / f"{name}.py"
        if path.is_file() and name not in beside:
            beside[name] = path.name
            inner = roots([ast.parse(path.read_text(encoding="utf-8"))])
            pending += sorted(inner - wanted)
            wanted |= inner
    if wanted & LOADERS:
        wanted |= roots([node for cell in cells for node in cell.body]) & MODELS
    installed = distributions()
    lines, unpinned = set(), []
    for name in sorted(wanted - set(beside) - {"krt"}):
        if is_standard(name):
            continue
        distribution = next(iter(installed.get(name, [])), DISTRIBUTIONS.get(name, name))
        try:
            lines.add(f"{distribution}=={metadata.version(distribution)}")
        except metadata.PackageNotFoundError:
            lines.add(distribution)
            unpinned.append(distribution)
    return sorted(lines, key=str.lower), beside, unpinned


def distributions():
    """The installed distributions by module; before Python 3.10, those that list their modules."""
    if hasattr(metadata, "packages_distributions"):
        return metadata.packages_distributions()
    found = {}
    for distribution in metadata.distributions():
        for name in (distribution.read_text("top_level.txt") or "").split():
            found.setdefault(name, []).append(distribution.metadata["Name"])
    return found


def is_standard(name):
    """Whether a module belongs to Python itself."""
    if hasattr(sys, "stdlib_module_names"):
        return name in sys.stdlib_module_names
    spec = util.find_spec(name)
    origin = getattr(spec, "origin", None) or ""
    return (
        spec is not None
        and "site-packages" not in origin
        and not origin.startswith(str(Path.cwd()))
    )


def convert(path):
    """The node of a notebook."""
    cells = read(path)
    roles = chosen(cells)
    code, lacking = module(cells, roles)
    code, files, elsewhere = with_files(code, path.parent)
    lines, beside, unpinned = requirements(code, cells, path.parent)
    notes = [
        f"`{name}` comes from cell {number}, which is not part of the node: "
        "load it in a cell tagged `init`"
        for name, number in sorted(lacking.items())
    ]
    notes += [
        f"line {line} of main.py names the file `{name}`: put it below models/, and open it in "
        "`init` with `ctx.path`"
        for name, line in elsewhere
    ]
    notes += [
        f"`{name}` is not installed in {sys.executable}: add its version to requirements.txt"
        for name in unpinned
    ]
    copies = [{"source": source, "target": target} for source, target in files.items()]
    return {
        "code": code,
        "requirements": lines,
        "files": copies,
        "modules": sorted(beside.values()),
        "notes": notes,
    }


def main():
    """Prints what the notebook of the command line makes."""
    path = Path(sys.argv[1])
    try:
        answer = convert(path)
    except RefusedError as refusal:
        answer = {"error": refusal.error, "hint": refusal.hint}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

"""The findings that a package's code makes, read from its syntax."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src/myoperf"


def calls_of(name, tree):
    return [c for c in ast.walk(tree) if isinstance(c, ast.Call) and getattr(c.func, "id", "") == name]


def constants(node, function, module):
    """All texts that an expression may have: constants, assigned variables, or what callers pass for a parameter."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return constants(node.body, function, module) | constants(node.orelse, function, module)
    if not isinstance(node, ast.Name):
        return set()
    parameters = [argument.arg for argument in function.args.args]
    if node.id in parameters:
        place = parameters.index(node.id)
        calls = calls_of(function.name, module)
        return {text for call in calls for text in constants(call.args[place], function, module)}
    values = [
        statement.value
        for statement in ast.walk(function)
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and node.id
        in [ast.unparse(t) for t in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])]
    ]
    return {text for value in values for text in constants(value, function, module)}


def findings_of(module):
    """``"code severity"`` of every finding that a module makes."""
    functions = [f for f in ast.walk(module) if isinstance(f, ast.FunctionDef)]
    for function in filter(lambda function: calls_of("Finding", function), functions):
        inner = [f for f in ast.walk(function) if isinstance(f, ast.FunctionDef) and f is not function]
        nested = {node for f in inner for node in ast.walk(f)}
        for call in set(calls_of("Finding", function)) - nested:
            if isinstance(call.args[0], ast.Starred):
                continue  # read back from a file, not made here
            codes, severities = (constants(argument, function, module) for argument in call.args[:2])
            assert codes, ast.unparse(call)
            assert severities, ast.unparse(call)
            yield from (f"{code} {severity}" for code in codes for severity in severities)


@cache
def findings_of_package():
    """Return ``"code severity"`` of every finding that the package makes."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))]
    modules = [ast.parse(text) for text in texts if "Finding(" in text]  # reading the others' syntax takes seconds
    return frozenset(finding for module in modules for finding in findings_of(module))

# Called by: tests/deploy/check.py.
"""The Azure Container Apps example: by the types of Microsoft's own library for it, by what the documents forbid, and as a `Deployment`."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import yaml

from deployment import Deployment, Refused, http_probe, rule, size

# What a type of the library is in YAML. An int is no bool there.
PLAIN = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def container_app(path):
    app = yaml.safe_load(path.read_text())
    shape(app, "ContainerApp", "")
    template = app["properties"]["template"]
    [container] = template["containers"]
    rule("command" not in container, "command: replaces restartinit; the app's command belongs in args:")
    kinds = [probe["type"].lower() for probe in container["probes"]]
    rule(len(set(kinds)) == len(kinds), "Container Apps: one probe of each type")
    probes = [http_probe(kind, probe) for kind, probe in zip(kinds, container["probes"])]
    limit = template["terminationGracePeriodSeconds"]
    yield Deployment(
        name=f"{path.name}: {container['name']}",
        settings={entry["name"]: entry["value"] for entry in container["env"]},
        stop_limit=limit,
        memory_limit=size(container["resources"]["memory"]),
        probes=probes,
        # Its probes reach every port of the container.
        published={app["properties"]["configuration"]["ingress"]["targetPort"]} | {probe.port for probe in probes},
    )


# The library's types.py describes each object of the API as a TypedDict, in its own words. It is read, not imported: the import
# wants all of the library's dependencies, and forgets what stands in the texts.


@cache
def types():
    folder = Path(find_spec("azure.mgmt.appcontainers").submodule_search_locations[0]) if find_spec("azure") else None
    rule(folder is not None, "azure.mgmt.appcontainers is not there")
    classes, enums = {}, {}
    for one in classes_of(folder / "types.py"):
        fields = [part for part in one.body if isinstance(part, ast.AnnAssign)]
        texts = {fields_part.target.id: text_after(one.body, fields_part) for fields_part in fields}
        classes[one.name] = (bases(one), {part.target.id: (part.annotation, texts[part.target.id]) for part in fields})
    for one in classes_of(folder / "models" / "_enums.py"):
        enums[one.name] = {part.value.value for part in one.body if isinstance(part, ast.Assign)}
    return classes, enums


def classes_of(path):
    return [part for part in ast.parse(path.read_text()).body if isinstance(part, ast.ClassDef)]


def bases(one):
    return [base.id for base in one.bases if isinstance(base, ast.Name) and base.id != "TypedDict"]


def text_after(body, part):
    following = body[body.index(part) + 1:][:1]
    text = following[0].value if following and isinstance(following[0], ast.Expr) else None
    return " ".join(text.value.split()) if isinstance(text, ast.Constant) else ""


def fields_of(name):
    parents, own = types()[0][name]
    inherited = {}
    for parent in parents:
        inherited |= fields_of(parent)
    return inherited | own


def shape(value, name, place):
    known = fields_of(name)
    refuse_unless(isinstance(value, dict), place, f"is no {name}")
    for key, part in value.items():
        refuse_unless(key in known, f"{place}.{key}", f"is not known to a {name}")
        annotation, text = known[key]
        fits(part, annotation, f"{place}.{key}")
        for word, holds in (("Minimum", lambda bound: part >= bound), ("Maximum", lambda bound: part <= bound)):
            bound = re.search(word + r" value is (\d+)", text)
            refuse_unless(bound is None or holds(int(bound[1])), f"{place}.{key}", f"is {part}: {bound and bound[0]}")
    for key, (annotation, _) in known.items():
        is_required = isinstance(annotation, ast.Subscript) and annotation.value.id == "Required"
        refuse_unless(not is_required or key in value or place == "", f"{place}.{key}", "is missing")


def fits(value, annotation, place):
    """Does a value fit `int`, `list["Thing"]`, `dict[str, str]`, `Union[str, "Enumeration"]`, `Required[...]` or `"Thing"`?"""
    if isinstance(annotation, ast.Constant):
        shape(value, annotation.value, place)
    elif isinstance(annotation, ast.Name):
        wanted = PLAIN[annotation.id]
        refuse_unless(isinstance(value, wanted) and (annotation.id == "bool" or not isinstance(value, bool)), place, f"is no {annotation.id}")
    elif annotation.value.id == "Required":
        fits(value, annotation.slice, place)
    elif annotation.value.id == "list":
        refuse_unless(isinstance(value, list), place, "is no list")
        for number, one in enumerate(value):
            fits(one, annotation.slice, f"{place}[{number}]")
    elif annotation.value.id == "dict":
        refuse_unless(isinstance(value, dict), place, "is no map")
        for key, one in value.items():
            fits(one, annotation.slice.elts[1], f"{place}.{key}")
    else:
        words = types()[1][annotation.slice.elts[1].value]
        refuse_unless(value in words, place, f"is {value!r}, and not one of {sorted(words)}")


def refuse_unless(holds, place, text):
    if not holds:
        raise Refused(f"Container Apps: {place} {text}")

"""Holds the direction of imports, the style and the size of the files."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "models" / "research"
MAX_LINES = 400

COMPUTE_CORE = (
    "object_detection/anchor_generators",
    "object_detection/box_coders",
    "object_detection/core",
    "object_detection/matchers",
    "object_detection/meta_architectures",
    "object_detection/models",
    "object_detection/predictors",
    "slim",
)
# What a backend has natively and Keras does not expose.
CORE_KERNELS = (
    "object_detection/core/kernels.py",
    "object_detection/core/nms_kernels.py",
)
CORE_PACKAGES = {"keras", "numpy"}

# Imports go down only: a module may import its own layer and those below.
# A longer name beats a shorter one.
LAYERS = (
    (
        "model_main",
        "demo",
        "export_inference_graph",
        "dataset_tools",
        "recipes",
    ),
    ("model_lib", "model_job", "exporter", "inference"),
    ("inputs", "training", "eval_util", "model_hparams"),
    (
        "builders",
        "preprocessing",
        "data_decoders",
        "metrics",
        "utils",
        # Plain values and formulas, which builders make for training.
        "training.learning_schedules",
        "training.options",
        "training.optimizers",
    ),
    ("protos",),
    ("meta_architectures",),
    ("predictors", "models", "core.target_assigner"),
    ("anchor_generators", "box_coders", "matchers", "slim", "core"),
    ("core.standard_fields", "core.containers", "core.box_ops", "core.errors"),
)
PROTO_FREE = ("training", "metrics", "preprocessing", "data_decoders")


def source_files():
    return [
        path
        for path in sorted(SOURCES.rglob("*.py"))
        if not path.name.endswith(("_pb2.py", "_test.py", "conftest.py"))
    ]


def relative(path):
    return path.relative_to(SOURCES).as_posix()


def imported_modules(path):
    """Returns (line, dotted name) of each import, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [
                (node.lineno, f"{node.module}.{alias.name}")
                for alias in node.names
            ]
    return found


def breaches(files, is_allowed):
    return [
        f"{relative(path)}:{line}: {module}"
        for path in files
        for line, module in imported_modules(path)
        if not is_allowed(path, module)
    ]


def layer_of(dotted):
    """Returns the index in LAYERS of a module of this project, or None."""
    name = dotted.removeprefix("object_detection.")
    matches = [
        (len(prefix), index)
        for index, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if f"{name}.".startswith(f"{prefix}.")
    ]
    return max(matches)[1] if matches else None


def dotted_name(path):
    return relative(path).removesuffix(".py").replace("/", ".")


def is_within(path, folders):
    return any(relative(path).startswith(folder + "/") for folder in folders)


def test_compute_core_imports_only_keras_numpy_and_itself():
    allowed = CORE_PACKAGES | set(sys.stdlib_module_names)
    own = tuple(folder.replace("/", ".") for folder in COMPUTE_CORE)

    def is_allowed(path, module):
        if module.split(".")[0] in allowed or module.startswith(own):
            return True
        is_kernel = relative(path) in CORE_KERNELS
        return is_kernel and module.split(".")[0] == "tensorflow"

    files = [path for path in source_files() if is_within(path, COMPUTE_CORE)]
    assert len(files) > 10
    assert breaches(files, is_allowed) == []


def test_kernels_import_tensorflow_lazily():
    for name in CORE_KERNELS:
        tree = ast.parse((SOURCES / name).read_text())
        top_level = [
            ast.unparse(node)
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not [line for line in top_level if "tensorflow" in line], name


def test_imports_go_down_only():
    def is_allowed(path, module):
        own, other = layer_of(dotted_name(path)), layer_of(module)
        return own is None or other is None or own <= other

    assert breaches(source_files(), is_allowed) == []


def test_protos_stop_at_the_builders():
    folders = tuple(f"object_detection/{name}" for name in PROTO_FREE)
    files = [
        path
        for path in source_files()
        if is_within(path, folders) or is_within(path, COMPUTE_CORE)
    ]
    assert (
        breaches(files, lambda _, module: "protos" not in module.split("."))
        == []
    )


def test_training_imports_no_builder():
    files = [
        path
        for path in source_files()
        if is_within(path, ("object_detection/training",))
    ]
    assert (
        breaches(files, lambda _, module: "builders" not in module.split("."))
        == []
    )


def test_one_module_imports_horovod():
    importers = {
        breach.split(":")[0]
        for breach in breaches(
            source_files(),
            lambda _, module: module.split(".")[0] != "horovod",
        )
    }
    assert importers <= {"object_detection/training/distributed.py"}


def test_no_pickle():
    assert (
        breaches(
            source_files(),
            lambda _, module: (
                module.split(".")[0] not in ("pickle", "dill", "joblib")
            ),
        )
        == []
    )


@pytest.mark.parametrize("folder", ["models/research", "qa", "examples"])
def test_files_stay_short(folder):
    long_files = {
        path.relative_to(ROOT).as_posix(): num_lines
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.endswith("_pb2.py")
        and (num_lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long_files == {}


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff(arguments):
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "models", "qa", "examples"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_shellcheck():
    scripts = [
        path.relative_to(ROOT).as_posix()
        for top in (*ROOT.glob("*.sh"), ROOT / "examples", ROOT / "qa")
        for path in ([top] if top.is_file() else sorted(top.rglob("*.sh")))
    ]
    assert {"download_all.sh", "examples/run.sh"} < set(scripts)
    shellcheck = pathlib.Path(sys.executable).with_name("shellcheck")
    result = subprocess.run(
        [shellcheck, "-x", *scripts, ".ci/run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fedzmq.data import bundled
from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.errors import DataError, MissingExtraError

Owner = Callable[[str], str]


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """Writes an owner's module with a function `give`, and names it as the owner would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(body: str) -> str:
        name = f"owner_{tmp_path.name}_{len(written)}".replace("-", "_")
        head = "import numpy as np\nimport torch\n\ndef give():\n"
        (tmp_path / f"{name}.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))
        written.append(name)
        return f"{name}:give"

    yield write
    for name in written:
        sys.modules.pop(name, None)


def refused(source: str) -> str:
    """Why load refuses a source: one line."""
    with pytest.raises(DataError) as caught:
        load(source)
    message = str(caught.value)
    assert message.startswith(f"cannot use the data {source!r}: ")
    assert "\n" not in message
    return message


# Built-in sets.


@pytest.mark.parametrize(("name", "classes"), [("digits", 10), ("breast_cancer", 2), ("iris", 3), ("wine", 3)])
def test_a_built_in_set_has_the_classes_of_scikit_learns(name: str, classes: int) -> None:
    from sklearn import datasets

    theirs = getattr(datasets, f"load_{name}")()
    data = load(name)

    assert data.classes == classes
    assert data.features.shape == theirs.data.shape
    assert data.targets.tolist() == theirs.target.tolist()


def test_digits_are_scikit_learns_scaled_to_one() -> None:
    from sklearn.datasets import load_digits

    theirs = load_digits()
    data = load("digits")

    assert torch.equal(data.features * 16, torch.from_numpy(theirs.data).float())
    assert (float(data.features.min()), float(data.features.max())) == (0.0, 1.0)


def test_diabetes_is_scikit_learns_in_standard_deviations() -> None:
    from sklearn.datasets import load_diabetes

    theirs = load_diabetes()
    data = load("diabetes")

    assert data.classes is None
    assert data.targets.shape == (442, 1)
    torch.testing.assert_close(data.features, torch.from_numpy(theirs.data * 442**0.5).float())
    torch.testing.assert_close(float(data.targets.std(unbiased=False)), 1.0)


def test_a_built_in_set_does_not_import_scikit_learn() -> None:
    program = "import sys; from fedzmq.data.load import load; load('digits'); print('sklearn' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == "False"


def test_a_built_in_set_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingExtraError, match=re.escape("pip install '.[data]'")):
        load("digits")


def test_an_unknown_name_gets_a_suggestion() -> None:
    assert refused("digit").endswith("did you mean 'digits'?")


def test_an_unknown_name_gets_the_known_ones() -> None:
    assert "digits, breast_cancer, iris" in refused("numbers!")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    np.save(tmp_path / "y.npy", np.zeros(2))
    monkeypatch.chdir(tmp_path)

    assert "its name is empty" in refused(name)


def test_a_file_of_another_kind_is_told_from_an_unknown_name(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")

    assert "only files that end in .csv, .npz, .parquet" in refused(str(tmp_path / "data.json"))


# Tables.


def csv(folder: Path, text: str) -> str:
    (folder / "data.csv").write_text(text, encoding="utf-8")
    return str(folder / "data.csv")


def test_a_csv_takes_its_last_column_for_the_target(tmp_path: Path) -> None:
    data = load(csv(tmp_path, "1,2,0\n3.5,4,1\n"))

    assert data.features.tolist() == [[1, 2], [3.5, 4]]
    assert data.targets.tolist() == [0, 1]
    assert (data.features.dtype, data.targets.dtype, data.classes) == (torch.float32, torch.int64, 2)


@pytest.mark.parametrize("name", ["target", "Label", "y"])
def test_a_csv_takes_the_column_of_that_name_for_the_target(tmp_path: Path, name: str) -> None:
    data = load(csv(tmp_path, f"a,{name},b\n1,0,2\n3,2,4\n"))

    assert data.features.tolist() == [[1, 2], [3, 4]]
    assert data.targets.tolist() == [0, 2]


def test_numbers_that_pandas_calls_columns_by_are_no_example(tmp_path: Path) -> None:
    data = load(csv(tmp_path, "0,1,2\n0.5,4,1\n2,3,0\n"))

    assert data.features.tolist() == [[0.5, 4], [2, 3]]
    assert data.target == "2"


def test_a_csv_with_two_target_columns_is_refused(tmp_path: Path) -> None:
    assert "'y' and 'label' could each be the target" in refused(csv(tmp_path, "a,y,label\n1,0,2\n"))


def test_targets_with_a_decimal_point_are_measurements(tmp_path: Path) -> None:
    data = load(csv(tmp_path, "a,y\n1,2.0\n3,4.0\n"))

    assert data.classes is None
    assert data.targets.tolist() == [[2.0], [4.0]]


def test_true_and_false_in_a_csv_are_1_and_0(tmp_path: Path) -> None:
    data = load(csv(tmp_path, 'a,smokes,sick\n1,True,FALSE\n2,"false",true\n'))

    assert data.features.tolist() == [[1, 1], [2, 0]]
    assert (data.targets.tolist(), data.classes) == ([0, 1], 2)


def test_a_csv_may_be_quoted_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert load(csv(tmp_path, '\ufeff"a","y"\r\n"1","1"\r\n\r\n"2","0"\r\n')).targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file has no rows"),
        ("a,y\n", "no examples under it"),
        ("1\n2\n", "one column"),
        ("a,y\n1,0\nfoo,1\n", "example 2 has the text 'foo' in column 'a'"),
        ("1,0\n2,cat\n", "example 2 has the text 'cat' in column 2"),
        ("a,y\n1,0\n,1\n", "example 2 has nothing in column 'a'"),
        ("1,true\n2,1\n", "example 2 has the text '1' in column 2, and true or false was expected"),
        (",a,y\n0,1,0\n1,2,1\n", "the first column has no name, as pandas writes a table's index"),
        ("Unnamed: 0,a,y\n0,1,0\n1,2,1\n", "the first column is called 'Unnamed: 0', as pandas writes"),
        ("a;y\n1;0\n", "they seem to be separated by ';'"),
        ("a\ty\n1\t0\n", "they seem to be separated by tabs"),
        ("a,b,y\n1,2,0\n1,0\n", "example 2 has 2 columns, and the first row has 3"),
        ("a,b,y\n1,2\n1,0\n", "example 1 has 2 columns, and the first row has 3"),
        ("a,y\n1,0\nnan,1\n", "the features of example 2 are not all finite"),
        ("a,y\n1,0.5\n2,nan\n", "the targets of example 2 are not all finite"),
        ("a,y\n1,-1\n2,1\n", "a class is -1, and classes count from 0"),
        ("a,y\n1,250000\n2,310000\n", "write measurements with a decimal point"),
    ],
)
def test_a_bad_csv_is_refused_with_the_place(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refused(csv(tmp_path, text))


def test_a_csv_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"\xff\xfe1,2\n")

    assert "not UTF-8 text" in refused(str(tmp_path / "data.csv"))


@pytest.mark.parametrize("name", ["gone.csv", "gone.npz", "gone.parquet"])
def test_a_file_that_is_not_there_is_refused_with_the_place_looked_at(tmp_path: Path, name: str) -> None:
    assert f"there is no such file (looked at {tmp_path / name})" in refused(str(tmp_path / name))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").mkdir()

    assert "it is not a file" in refused(str(tmp_path / "data.csv"))


@pytest.mark.parametrize("keys", [("x", "y"), ("X", "targets"), ("features", "labels")])
def test_an_npz_gives_its_features_and_targets(tmp_path: Path, keys: tuple[str, str]) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.savez(tmp_path / "data.npz", **{keys[0]: images, keys[1]: np.array([0, 1], dtype=np.int32)})

    data = load(str(tmp_path / "data.npz"))

    assert data.features.shape == (2, 3, 4)
    assert data.features.dtype == torch.float32
    assert data.targets.dtype == torch.int64


def test_an_npz_without_targets_is_refused_with_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((2, 2)), other=np.ones(2))

    assert "the targets must be one array called y," in refused(str(tmp_path / "data.npz"))


def test_an_npz_of_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([{}], dtype=object), y=np.zeros(1), allow_pickle=True)

    assert "x holds Python objects, which are never read" in refused(str(tmp_path / "data.npz"))


@pytest.mark.parametrize("name", ["data.npz", "data.parquet"])
def test_a_file_of_rubbish_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"rubbish" * 100)

    assert "it is not a" in refused(str(tmp_path / name))


def parquet(folder: Path, **columns: object) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), folder / "data.parquet")
    return str(folder / "data.parquet")


def test_a_parquet_file_gives_its_columns(tmp_path: Path) -> None:
    data = load(parquet(tmp_path, a=[1.5, 2.5], label=[1, 0], b=[3, 4]))

    assert data.features.tolist() == [[1.5, 3], [2.5, 4]]
    assert data.targets.tolist() == [1, 0]


def test_a_parquet_column_of_text_is_refused(tmp_path: Path) -> None:
    assert "the column 'a' holds text" in refused(parquet(tmp_path, a=["x", "y"], b=[1, 0]))


def test_a_parquet_column_with_empty_cells_is_refused(tmp_path: Path) -> None:
    assert "is called 'Unnamed: 0', as pandas" in refused(parquet(tmp_path, **{"Unnamed: 0": [0, 1], "b": [1, 0]}))
    assert "example 2 has nothing in column 'a'" in refused(parquet(tmp_path, a=[1, None], b=[1, 0]))


# The owner's own code.


@pytest.mark.parametrize(
    "body",
    [
        "return np.ones((3, 2)), np.array([0, 1, 0])",
        "return torch.ones(3, 2, dtype=torch.float64), torch.tensor([0, 1, 0])",
        "return [[1, 1], [1.0, 1], [1, 1]], [False, True, False]",
        "return torch.utils.data.TensorDataset(torch.ones(3, 2), torch.tensor([0, 1, 0]))",
        "return torch.utils.data.Subset([(np.ones(2), n % 2) for n in range(3)], range(3))",
        "return torch.ones(3, 2, dtype=torch.uint8), torch.tensor([[0], [1], [0]], dtype=torch.uint8)",
    ],
)
def test_the_owners_function_may_give_arrays_tensors_lists_or_a_dataset(owner: Owner, body: str) -> None:
    data = load(owner(body))

    assert data.features.tolist() == [[1, 1]] * 3
    assert data.targets.tolist() == [0, 1, 0]
    assert (data.features.dtype, data.targets.dtype, data.classes) == (torch.float32, torch.int64, 2)


def test_an_iterable_dataset_is_read_to_its_end(owner: Owner) -> None:
    source = owner(
        """
        class Stream(torch.utils.data.IterableDataset):
            def __iter__(self):
                yield from ((torch.ones(2), 0.5) for _ in range(4))
        return Stream()
        """
    )

    assert load(source).targets.tolist() == [[0.5]] * 4


def test_whole_numbers_of_the_owners_function_stay_whole(owner: Owner) -> None:
    data = load(owner("return torch.tensor([[5, 7], [9, 2]]), torch.tensor([0, 1])"))

    assert data.features.dtype == torch.int64


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return None", "the function returned nothing, and a pair"),
        ("return 1, 2, 3", "the function returned a tuple of 3, and a pair"),
        ("return {'x': 1}", "the function returned a dict"),
        ("return 1.0, 2.0", "a single number"),
        ("return np.ones((3, 2)), np.zeros(2)", "3 rows of features and 2 targets"),
        ("return np.ones((0, 2)), np.zeros(0)", "no examples"),
        ("return [[1], [1, 2]], [0, 1]", "rows of different lengths"),
        ("return [['a'], ['b']], [0, 1]", "the features are a list, and numbers were expected"),
        ("return np.ones((2, 2)), np.array(['cat', 'dog'])", "the targets are an array of <U3"),
        ("return np.ones((2, 2)), np.array([[0, 1], [1, 0]])", "give one number per example"),
        ("return np.ones((2, 2), dtype=complex), np.zeros(2)", "numbers were expected"),
        ("return torch.ones(2, 2, dtype=torch.complex64), torch.zeros(2)", "real numbers"),
        ("return np.array([[1.0], [np.inf]]), np.zeros(2)", "the features of example 2 are not all finite"),
        ("raise KeyError('no such file\\nsecond line')", "the function failed with KeyError"),
        ("return torch.utils.data.Subset([1, 2], range(2))", "example 0 of the Dataset is an int"),
        ("return torch.utils.data.Subset([(1, 2)], range(2))", "reading the Dataset failed with IndexError"),
        ("return torch.utils.data.Subset([([1], 2), ([1, 2], 2)], range(2))", "example 1 has the shape (2,)"),
        ("return torch.utils.data.Subset([], range(0))", "no examples"),
    ],
)
def test_rubbish_from_the_owners_function_is_refused_with_what_it_was(owner: Owner, body: str, reason: str) -> None:
    assert reason in refused(owner(body))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("no_such_module_here:give", "no module 'no_such_module_here'"),
        ("fedzmq.no_such_module:give", "no module 'fedzmq.no_such_module'"),
        (":give", "expected module:function"),
        ("my_data:", "expected module:function"),
        ("folder/my_data.py:give", "write folder.my_data:give"),
        ("textwrap:wrapp", "'wrapp' is to be a function, and textwrap has no such name (its functions: "),
        ("os:nofn", "os has no such name (its functions: execl, execle, "),
        ("string:digits", "string has it with the type str"),
    ],
)
def test_a_function_that_cannot_be_found_is_refused(source: str, reason: str) -> None:
    assert reason in refused(source)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_package_here", "ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_an_owners_module_that_fails_to_import_says_why(owner: Owner, tmp_path: Path, text: str, reason: str) -> None:
    source = owner("return 1")
    (tmp_path / f"{source.split(':')[0]}.py").write_text(text)

    assert reason in refused(source)


def test_the_owners_module_is_found_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "my_own_data.py").write_text("def give():\n    return [[1.0], [2.0]], [0, 1]\n")
    program = "import sys; sys.path.pop(0); from fedzmq.data.load import load; print(len(load('my_own_data:give')))"
    root = Path(bundled.__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", program.replace("sys.path.pop(0)", f"sys.path[0] = {str(root)!r}")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ran.stdout.strip() == "2"


def test_rows_keep_the_number_of_classes_of_the_whole() -> None:
    data = Data("x", torch.arange(4.0)[:, None], torch.tensor([0, 1, 2, 3]), 4)

    assert data.rows(torch.tensor([0, 2])).classes == 4
    assert data.rows(torch.tensor([0, 2])).targets.tolist() == [0, 2]

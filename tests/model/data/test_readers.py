"""Files as found in the wild become examples, or are refused in one sentence."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.examples import Example, SkippedRow
from model.data.readers import (
    LONGEST,
    Read,
    read_amazon,
    read_folder,
    read_quora,
    read_sick,
    read_sst,
    read_sts,
)
from spaces.errors import UserError

SST = "\tid\tsentence\tsentiment\n"
QUORA = "\tid\tsentence1\tsentence2\tis_duplicate\n"
STS = "\tid\tsentence1\tsentence2\tsimilarity\n"
SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
AMAZON = "\treview\tstars\n"

REAL = Path(__file__).parents[3].parent / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="the real data is not here")

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: str | bytes) -> Path:
        file = tmp_path / "some.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write_file


def good_quora_rows(count: int) -> str:
    return "".join(f"{row}\tid\tfirst {row}\tsecond {row}\t1.0\n" for row in range(count))


def test_a_sentence_is_read_without_its_leading_space(write: Write) -> None:
    file = write(SST + "0\ta\t A fine film . \t3\n1\tb\tDull\t0\n")
    assert read_sst(file).examples == (
        Example("A fine film .", None, 3.0),
        Example("Dull", None, 0.0),
    )


def test_columns_are_found_by_name_and_others_ignored(write: Write) -> None:
    file = write("sentiment\tmore\tsentence\n4\tx\tGood\n")
    assert read_sst(file).examples == (Example("Good", None, 4.0),)


def test_byte_order_mark_and_windows_line_ends(write: Write) -> None:
    file = write(b"\xef\xbb\xbf" + "sentence\tsentiment\r\nCafé\t1\r\n\r\n".encode())
    assert read_sst(file) == Read((Example("Café", None, 1.0),), ())


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"""What does """"be"""" mean?"""', 'What does "be" mean?'),
        ('"""""""Be"""" or """"go""""?"""', '"Be" or "go"?'),
        ('"""Why """"be happy?"""""""', 'Why "be happy?"'),
        # Quoted once: the outer quotes are part of the text.
        ('"""Be"" or ""go"""', '"Be" or "go"'),
        ('"""Is this right?"""', '"Is this right?"'),
        ('"Why ""YOU""?"', 'Why "YOU"?'),
        ('"Why """"YOU""""?"', 'Why ""YOU""?'),
        ('Why "not"?', 'Why "not"?'),
    ],
)
def test_quotes_encoded_twice_are_undone(write: Write, cell: str, text: str) -> None:
    file = write(QUORA + f"0\ta\t{cell}\tother\t1.0\n")
    assert read_quora(file).examples == (Example(text, "other", 1.0),)


def test_quotes_in_sts_are_quoted_once(write: Write) -> None:
    file = write(STS + '0\ta\t"""No ""x"" now"""\tother\t3.25\n')
    assert read_sts(file).examples == (Example('"No "x" now"', "other", 3.25),)


def test_sick_has_plain_quotes_and_relatedness_becomes_similarity(write: Write) -> None:
    file = write(
        SICK + '1\t"A man\tA "dog" runs\t1.0\tNEUTRAL\n2\tA\tB\t4.6\tNEUTRAL\n3\tC\tD\t5\tX\n'
    )
    examples = read_sick(file).examples
    assert examples[0] == Example('"A man', 'A "dog" runs', 0.0)
    assert [example.label for example in examples[1:]] == pytest.approx([4.5, 5.0])


def test_stars_become_classes(write: Write) -> None:
    file = write(AMAZON + "0\tBad\t1\n1\tGood\t5\n")
    assert [example.label for example in read_amazon(file).examples] == [0.0, 4.0]


def test_a_skipped_row_is_named_by_the_line_it_starts_on(write: Write) -> None:
    rows = '0\tid\t"on two\nlines"\tsecond\t1.0\n\n1\tid\t"a\nb"\t\t\n' + good_quora_rows(200)
    read = read_quora(write(QUORA + rows))
    assert read.examples[0].first == "on two\nlines"
    assert read.skipped == (
        SkippedRow("some.csv", 5, "sentence2 is empty, is_duplicate is missing"),
    )
    assert len(read.examples) == 201


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("0\tid\tfirst\tsecond\t", "is_duplicate is missing"),
        ("0\tid\tfirst\tsecond", "is_duplicate is missing"),
        ("0\tid\tfirst", "sentence2 is missing, is_duplicate is missing"),
        ("0\tid\t  \tsecond\t1.0", "sentence1 is empty"),
        ("0\tid\tfirst\tsecond\tyes", "is_duplicate is no number: 'yes'"),
        ("0\tid\tfirst\tsecond\tnan", "is_duplicate is no number: 'nan'"),
        ("0\tid\tfirst\tsecond\t2", "is_duplicate is not from 0 to 1: 2"),
        ("0\tid\tfirst\tsecond\t0.5", "is_duplicate is no whole number: 0.5"),
        ("0\tid\tfirst\tsecond\t1\t2", "6 cells where the header has 5"),
        ('0\tid\t"first" one\tsecond\t1', "text follows a closing quote"),
    ],
)
def test_a_row_that_cannot_be_used_is_skipped_and_explained(
    write: Write, row: str, why: str
) -> None:
    read = read_quora(write(QUORA + good_quora_rows(100) + row + "\n" + good_quora_rows(1)))
    assert read.skipped == (SkippedRow("some.csv", 102, why),)
    assert len(read.examples) == 101


def test_one_row_in_a_hundred_may_be_skipped_but_no_more(write: Write) -> None:
    bad = "0\tid\tfirst\tsecond\tbad\n"
    assert len(read_quora(write(QUORA + good_quora_rows(99) + bad)).skipped) == 1
    file = write(QUORA + good_quora_rows(98) + bad)
    with pytest.raises(UserError) as caught:
        read_quora(file)
    assert str(caught.value) == (
        f"{file}: 1 of 99 rows cannot be used, more than 1%;"
        " the first is line 100: is_duplicate is no number: 'bad'."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (SST, "has a header line but no rows"),
        ("\tid\ttext\tsentiment\n0\ta\tb\t1\n", "has no column 'sentence'; its header line has"),
        (
            "x" * 5000 + "\tb\n",
            rf"no column 'sentence'; its header line has \['{'x' * 40}\.\.\.', 'b'\]\.$",
        ),
        ("\t".join("abcdefghijklmnopqrstuvwxyz"), r"'s', 't'\] and 6 more\.$"),
        (SST.encode() + b"0\ta\tCaf\xe9\t1\n", "is not UTF-8: line 2, byte offset 30"),
        (
            b"\xef\xbb\xbf" + SST.encode() + b"0\ta\tCaf\xe9\t1\n",
            "is not UTF-8: line 2, byte offset 33",
        ),
        (
            SST + '0\ta\tfine\t1\n1\ta\t"never closed\t1\n2\ta\tread\t1\n',
            "1 of 3 rows .* the first is line 3: sentence has a quote that is never closed",
        ),
        (
            '\tid\t"sentence\tsentiment\n0\ta\tb\t1\n',
            "its header line has a quote that is not closed",
        ),
        ("sentence\tsentence\tsentiment\na\tb\t1\n", "has the column 'sentence' more than once"),
        (SST.encode("utf-16-le") + b"0\0", "has zero bytes in its header line; save it as UTF-8"),
        (b"\xff\xfe" + SST.encode("utf-16-le") + b"0", "begins as UTF-16.* and is not; save it as"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(
    write: Write, content: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_sst(write(content))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_how_a_file_is_encoded(write: Write, encoding: str) -> None:
    file = write((SST + "0\ta\tCafé\t1\r\n").encode(encoding))
    assert read_sst(file) == Read((Example("Café", None, 1.0),), ())


def quotes(count: int, damaged: dict[int, str]) -> str:
    """Rows of STS, some of them replaced; row n is on line n + 2."""
    rows = [f"{n}\tz\thow {n}\tb {n}\t1.0\n" for n in range(count)]
    for number, row in damaged.items():
        rows[number] = row
    return STS + "".join(rows)


NEVER_CLOSED = "sentence1 has a quote that is never closed"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "closing",
    [
        '300\tz\t"how 300"\tb 300\t1.0\n',
        '300\tz\t"how ""300"""\tb 300\t1.0\n',
        '300\tz\thow 300"\tb 300\t1.0\n',
        '300\tz\thow 300\tb 300"\t1.0\n',
        '300\tz"\thow 300\tb 300\t1.0\n',
        "300\tz\thow 300\tb 300\t1.0\n",
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_row_only(
    write: Write, closing: str, ending: str
) -> None:
    """Whatever the next quote of the file is, if there is one."""
    damaged = {100: '100\tz\t"how do i\tb\t1.0\n', 300: closing}
    read = read_sts(write(quotes(500, damaged).replace("\n", ending)))
    assert read.skipped == (SkippedRow("some.csv", 102, NEVER_CLOSED),)
    assert len(read.examples) == 499
    assert [e.second.strip('"') for e in read.examples if e.second] == [
        f"b {n}" for n in range(500) if n != 100
    ]


def test_two_quotes_that_are_never_closed_cost_two_rows(write: Write) -> None:
    damaged = {n: f'{n}\tz\t"how do i\tb\t1.0\n' for n in (100, 300)}
    read = read_sts(write(quotes(500, damaged)))
    assert [row.row for row in read.skipped] == [102, 302]
    assert {row.why for row in read.skipped} == {NEVER_CLOSED}
    assert len(read.examples) == 498


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('1\tz\thow\tb\t"1.0\n', '2\tz\thow 2\tb 2\t1.0"\n'),
        ('1\t"z\thow\tb\t1.0\n', '2\tz"\thow 2\tb 2\t1.0\n'),
        ('"1\tz\thow\tb\t1.0\n', '2"\tz\thow 2\tb 2\t1.0\n'),
        ('1\tz\thow\t"b\t1.0\n', '2\tz\thow 2\tb 2"\t1.0\n'),
    ],
)
def test_two_rows_are_not_made_one_by_quotes_in_both(
    write: Write, opening: str, closing: str
) -> None:
    read = read_sts(write(quotes(1000, {1: opening, 2: closing})))
    assert len(read.examples) + len(read.skipped) == 1000
    assert read.skipped[0].row == 3
    assert not any("\n" in text for e in read.examples for text in (e.first, e.second or ""))


def test_every_line_that_a_broken_row_goes_over_is_counted(write: Write) -> None:
    damaged = {1: '1\tz\t"over\nthree\nlines" and\tb\t1.0\n'}
    read = read_sts(write(quotes(1000, damaged)))
    assert [row.row for row in read.skipped] == [3, 4, 5]
    assert len(read.examples) == 999


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("header", "row", "text"),
    [
        (SST, '0\ta\t"one\n\nthree"\t3', "one\n\nthree"),
        (SST, '0\ta\t"one\ttab\nand ""more"""\t3', 'one\ttab\nand "more"'),
        ("sentence\tsentiment\n", '"one\ttab\nand more"\t3', "one\ttab\nand more"),
        ("sentiment\tsentence\n", '3\t"one\nand more"', "one\nand more"),
        ("sentiment\tsentence\n", '3\t"one\n\tand more"', "one\n\tand more"),
        ("sentence\tsentiment\tnote\n", '"a\nb"\t3\t"c\nd"', "a\nb"),
    ],
)
def test_cells_rightly_quoted_over_lines_are_one_row(
    write: Write, header: str, row: str, text: str, ending: str
) -> None:
    read = read_sst(write((header + row + "\n").replace("\n", ending)))
    assert read == Read((Example(text.replace("\n", ending), None, 3.0),), ())


texts = st.text(alphabet=st.sampled_from("ab \"\n\t'é"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_what_csv_writes_is_read_as_it_was(rows: list[tuple[str, str]]) -> None:
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter="\t", lineterminator="\n")
    writer.writerow(["sentence1", "sentence2", "similarity"])
    writer.writerows([*row, "2.5"] for row in rows)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "some.csv"
        file.write_bytes(written.getvalue().encode())
        read = read_sts(file)
    assert read.skipped == ()
    assert [(e.first, e.second) for e in read.examples] == [(a.strip(), b.strip()) for a, b in rows]


@given(st.integers(0, 249), st.integers(0, 4), st.integers(0, 249), st.integers(0, 4))
def test_no_row_is_lost_untold_wherever_quotes_are_put(
    one: int, cell: int, other: int, another: int
) -> None:
    rows = [[str(n), "z", f"how {n}", f"b {n}", "1.0"] for n in range(250)]
    rows[one][cell] = f'"{rows[one][cell]}'
    rows[other][another] = f'{rows[other][another]}"'
    with TemporaryDirectory() as folder:
        file = Path(folder) / "some.csv"
        file.write_text(STS + "".join("\t".join(row) + "\n" for row in rows))
        read = read_sts(file)
    assert len(read.examples) + len(read.skipped) == 250
    assert {row.row for row in read.skipped} <= {one + 2, other + 2}


def test_a_sentence_that_is_far_too_long_costs_one_row(write: Write) -> None:
    long = "word " * (LONGEST // 5 + 1)
    for cell in (long, f'"{long}"', f'"{long}\n{long}"'):
        read = read_sts(write(quotes(200, {7: f"7\tz\t{cell}\tb\t1.0\n"})))
        (row,) = read.skipped
        assert row.row == 9
        assert row.why.startswith("sentence1 has ")
        assert row.why.endswith(f" characters, more than {LONGEST}")
        assert len(read.examples) == 199
    # One that is not read may be.
    assert len(read_sts(write(quotes(9, {7: f"7\t{long}\ta\tb\t1.0\n"}))).examples) == 9


def test_a_label_that_is_far_too_long_is_told_in_short(write: Write) -> None:
    (row,) = read_sts(write(quotes(200, {7: f"7\tz\ta\tb\t{'x' * 5000}\n"}))).skipped
    assert row.why == f"similarity is no number: '{'x' * 40}...'"
    (row,) = read_sts(write(quotes(200, {7: f"7\tz\ta\tb\t{'9' * 5000}\n"}))).skipped
    assert row.why == f"similarity is not from 0 to 5: {'9' * 40}..."


def test_zero_bytes_cost_their_row(write: Write) -> None:
    read = read_sts(write(quotes(200, {7: "7\tz\ta\0\0\tb\t1.0\n"})))
    assert read.skipped == (SkippedRow("some.csv", 9, "sentence1 has zero bytes"),)
    assert len(read.examples) == 199


def test_missing_file_and_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        read_sst(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_sst(tmp_path)


def fill(folder: Path) -> None:
    for split in ("train", "dev"):
        (folder / f"ids-sst-{split}.csv").write_text(SST + f"0\ta\t{split}\t1\n")
        (folder / f"quora-{split}.csv").write_text(QUORA + f"0\ta\t{split}\tb\t1\n")
        (folder / f"sts-{split}.csv").write_text(STS + f"0\ta\t{split}\tb\t1\n")


def test_a_folder_is_read_by_task_and_split(tmp_path: Path) -> None:
    fill(tmp_path)
    # A broken file that is not asked for does not matter.
    (tmp_path / "SICK_train.txt").write_text("broken")
    dataset = read_folder(tmp_path)
    assert list(dataset.splits) == ["sst", "para", "sts"]
    assert dataset.splits["sst"]["dev"] == (Example("dev", None, 1.0),)
    assert dataset.splits["para"]["train"] == (Example("train", "b", 1.0),)
    assert dataset.extra == {}


def test_extra_data_is_read_where_asked_for(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "SICK_train.txt").write_text(SICK + "1\tA\tB\t3\tNEUTRAL\n")
    with pytest.raises(UserError, match=r"lacks amazon-reviews\.csv;"):
        read_folder(tmp_path, with_extra=True)
    (tmp_path / "amazon-reviews.csv").write_text(AMAZON + "0\tGood\t5\n")
    assert read_folder(tmp_path, with_extra=True).extra == {
        "sst": (Example("Good", None, 4.0),),
        "sts": (Example("A", "B", 2.5),),
    }


def test_all_missing_files_of_a_folder_are_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "sts-dev.csv").unlink()
    (tmp_path / "quora-train.csv").unlink()
    with pytest.raises(UserError, match=r"lacks quora-train\.csv, sts-dev\.csv;"):
        read_folder(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        read_folder(tmp_path / "nowhere")


@needs_real_data
def test_the_real_data() -> None:
    dataset = read_folder(REAL, with_extra=True)
    counts = {
        task: (len(splits["train"]), len(splits["dev"])) for task, splits in dataset.splits.items()
    }
    assert counts == {"sst": (7544, 1101), "para": (13013, 4000), "sts": (5240, 863)}
    assert {task: len(examples) for task, examples in dataset.extra.items()} == {
        "sst": 5048,
        "sts": 4500,
    }
    assert dataset.skipped == (
        SkippedRow("quora-train.csv", 3540, "sentence2 is empty, is_duplicate is missing"),
    )


def test_a_folder_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_folder(tmp_path / ("x" * 5000))
    assert str(error.value).endswith("... cannot be read: File name too long.")
    assert len(str(error.value)) < 300


def test_why_a_row_was_skipped_is_short_whatever_its_columns_are_called(write: Write) -> None:
    file = write("sentence\tsentiment\t" + "x" * 5000 + "\n" + "a\t1\tb\n" * 200 + 'a\t1\t"b\n')
    (skipped,) = read_sst(file).skipped
    assert skipped.row == 202
    assert len(skipped.why) < 250


def test_what_is_left_of_a_broken_row_swallows_no_other(write: Write) -> None:
    """Of row 2 the first text is rightly quoted over lines, and the second one's quote is closed at
    the end of the next row only."""
    good = good_quora_rows(400)
    broken = '1\tid\t"over\nlines"\t"second\t1.0\n'
    file = write(QUORA + broken + 'x\tid\tswallowed\ttoo\t0.0"\n' + good)
    read = read_quora(file)
    assert [row.row for row in read.skipped] == [2, 3, 4]
    assert len(read.examples) == 400
    assert "is no number" in read.skipped[2].why

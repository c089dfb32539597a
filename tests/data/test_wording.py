from kgclip.data.wording import count_of, examples_of, printable


def test_counts():
    assert [count_of(number, "clip") for number in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert count_of(2, "class") == "2 classes"


def test_examples():
    assert examples_of(["a", "b", "c"]) == "a, b, c"
    assert examples_of(["a", "b", "c", "d"]) == "a, b, c, …"


def test_bytes_that_are_no_text():
    assert printable("caf\udce9/é.mp4") == r"caf\xe9/é.mp4"

import hashlib

import numpy as np
import torch

from kgclip.identity import Identity, describe, digest_tensors, is_same

ONE = Identity(name="one", weights="ab" * 32, preprocessing="224 px")


def test_weights_and_preprocessing_tell_encoders_apart_and_names_do_not():
    assert is_same(ONE, ONE | {"name": "a copy in another folder"})
    assert not is_same(ONE, ONE | {"weights": "cd" * 32})
    assert not is_same(ONE, ONE | {"preprocessing": "336 px"})


def test_where_weights_are_unknown_names_tell_encoders_apart():
    unknown = Identity(name="one", weights="", preprocessing="")
    assert is_same(unknown, Identity(name="one", weights="", preprocessing=""))
    assert not is_same(unknown, Identity(name="two", weights="", preprocessing=""))
    assert "unknown weights" in describe(unknown)


def test_a_digest_is_of_names_shapes_and_values():
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(1)
    expected = hashlib.sha256()
    for name, values in (("a [2, 3]\n", a), ("b [1]\n", b)):
        expected.update(name.encode() + np.asarray(values, "<f4").tobytes())
    assert digest_tensors([("b", b), ("a", a)]) == expected.hexdigest()
    assert digest_tensors([("a", a.T.contiguous().T.double()), ("b", b)]) == expected.hexdigest()
    assert digest_tensors([("a", a.reshape(3, 2)), ("b", b)]) != expected.hexdigest()
    assert digest_tensors([("a", a + 1), ("b", b)]) != expected.hexdigest()

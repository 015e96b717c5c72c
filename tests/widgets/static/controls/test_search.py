"""search.js: a class among many by its name or number."""

from __future__ import annotations

NAMES = ["tench", "goldfish", "great white shark", "tiger shark", "cock", "tiger", "tiger cat"]
SCORES = [0.5, 2.0, None, 1.0, 0.0, -3.0, 4.0]


def found(node, word: str, most: int = 10) -> tuple[list[int], int]:
    answer = node("search", "search(given.names, given.scores, given.word, given.most)",
                  {"names": NAMES, "scores": SCORES, "word": word, "most": most})  # fmt: skip
    return answer["shown"], answer["count"]


def test_names_that_begin_with_the_word_come_first_and_then_the_scores_decide(node):
    assert found(node, " Tiger ") == ([6, 3, 5], 3)
    assert found(node, "shark") == ([3, 2], 2)  # a score that is none comes last
    assert found(node, "t", most=2) == ([6, 3], 5)


def test_a_number_is_a_class_too(node):
    assert found(node, "4") == ([4], 1)
    assert found(node, "44") == ([], 0)

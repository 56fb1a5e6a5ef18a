"""File trees for property tests, by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from sandbox.errors import InvalidArchive
from sandbox.intake.names import check_tree

Tree = dict[str, str | bytes]

ordinary = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\"), max_size=12)
parts = ordinary.filter(lambda part: part not in ("", ".", "..") and part[1:2] != ":" and part != "__MACOSX")
paths = st.lists(parts, min_size=1, max_size=4).map("/".join).filter(lambda path: not path.endswith(".DS_Store"))
strange = st.text(st.sampled_from("ab/.\\:\n é_") | st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
contents = st.binary(max_size=200) | st.text(st.characters(codec="utf-8"), max_size=100)


def stands(tree: Tree) -> bool:
    """Whether no name of it is a file and a folder."""
    try:
        check_tree(tree)
    except InvalidArchive:
        return False
    return True


trees = st.dictionaries(paths, contents, min_size=1, max_size=8).filter(stands)
"""Such as anybody may send."""

any_trees = st.dictionaries(paths | strange | st.just("a") | st.just("a/b"), contents, max_size=8)
"""Whatever somebody may send, right or wrong."""

"""What is fetched is what was published."""

import contextlib
import errno
import http.server
import sys
import threading

import pytest
from small_texts import MEMBERS, NOWHERE, TEXTS, contents, folder_of, tar_of, tree, zip_of
from special_files import SPECIAL

from awd import corpora
from awd.corpora import archives
from awd.errors import InputError


@pytest.mark.parametrize(
    "layout", ["tiny/tiny.{split}.txt", "tiny.{split}.txt", "tiny/{split}.txt", MEMBERS]
)
@pytest.mark.parametrize("kind", ["folder", "address"])
def test_mirror_layouts(tmp_path, published, serve, layout, kind):
    """A mirror may be a folder or an address, arranged in any of the usual ways."""
    published({"archive": f"{NOWHERE}/pack.tgz", "members": MEMBERS})
    folder, _, pattern = layout.rpartition("/")
    folder_of(tmp_path / "mirror" / folder, pattern=pattern)
    mirror = str(tmp_path / "mirror")
    if kind == "address":
        mirror = serve(tmp_path / "mirror") + "/"
    corpora.fetch("tiny", tmp_path / "raw", mirror=mirror)
    assert contents(tmp_path / "raw") == TEXTS
    assert tree(tmp_path / "raw") == ["test.txt", "train.txt", "valid.txt"]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize("place", ["", "tiny"])
def test_mirror_with_the_archive(tmp_path, published, pack, place):
    """A mirror may also hold the archive as it was published."""
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    folder = tmp_path / "mirror" / place
    folder.mkdir(parents=True)
    pack(folder / "pack")
    corpora.fetch("tiny", tmp_path / "raw", mirror=str(tmp_path / "mirror"))
    assert contents(tmp_path / "raw") == TEXTS


@pytest.mark.parametrize(("make", "said"), SPECIAL.items())
def test_what_is_no_regular_file_in_a_mirror_is_passed_over(tmp_path, published, make, said):
    """With the reason; as a text and as an archive."""
    published({"archive": f"{NOWHERE}/pack", "members": MEMBERS})
    (tmp_path / "mirror").mkdir()
    for name in ("tiny.train.txt", "pack"):
        make(tmp_path / "mirror" / name)
    with pytest.raises(
        InputError, match=f"mirror .*tiny.{{train,valid,test}}.txt: {said}.*/pack: {said}"
    ):
        corpora.fetch("tiny", tmp_path / "raw", mirror=str(tmp_path / "mirror"))


def test_the_server_does_refuse_the_default_user_agent(tmp_path, serve):
    """Otherwise the tests above would not show that a browser's name is sent."""
    import requests

    client = requests.Session()
    client.trust_env = False
    assert client.get(serve(tmp_path), timeout=60).status_code == 403


def test_sources_are_tried_in_order_until_the_checksum_is_right(tmp_path, published, serve, caplog):
    """A wrong file, an absent one and a dead host are passed over, and said to be."""
    wrong = folder_of(tmp_path / "served" / "wrong", {**TEXTS, "valid": b"forged\n"})
    assert wrong.is_dir()
    tar_of(tmp_path / "served" / "pack.tgz")
    address = serve(tmp_path / "served")
    published(
        {"files": NOWHERE + "/{split}.txt"},
        {"files": address + "/absent/{split}.txt"},
        {"files": address + "/wrong/{split}.txt"},
        {"archive": address + "/pack.tgz", "members": MEMBERS},
    )
    corpora.fetch("tiny", tmp_path / "raw")
    assert contents(tmp_path / "raw") == TEXTS
    told = caplog.text
    assert "no connection" in told
    assert "absent/{train,valid,test}.txt: HTTP 404" in told
    assert "wrong sha256 for valid" in told


def test_when_all_fails_one_sentence_names_every_source(tmp_path, published, serve):
    """The user learns what was tried, why it failed and how to use a local copy."""
    address = serve(folder_of(tmp_path / "served", {**TEXTS, "train": b"forged\n"}))
    mirror = folder_of(tmp_path / "mirror" / "tiny", {**TEXTS, "train": b"cut short"})
    published(
        {"files": NOWHERE + "/{split}.txt"},
        {"files": address + "/{split}.txt"},
        {"archive": address + "/gone.zip", "members": MEMBERS},
        {"archive": address + "/train.txt", "members": MEMBERS},
    )
    with pytest.raises(InputError) as caught:
        corpora.fetch("tiny", tmp_path / "raw", mirror=str(mirror.parent))
    sentence = str(caught.value)
    for part in (
        f"mirror {mirror.parent}: {mirror}/{{train,valid,test}}.txt: wrong sha256 for train",
        f"{NOWHERE}/{{train,valid,test}}.txt: no connection",
        f"{address}/{{train,valid,test}}.txt: wrong sha256 for train",
        f"{address}/gone.zip: HTTP 404",
        f"{address}/train.txt: train.txt is not an archive that can be read",
        "tiny.train.txt, tiny.valid.txt, tiny.test.txt in a folder and set `mirror: /that/folder`",
    ):
        assert part in sentence
    assert "\n" not in sentence
    assert tree(tmp_path / "raw") == []


def test_a_silent_host_is_asked_once(tmp_path, published):
    """Behind a firewall each attempt may take many seconds."""
    published({"files": NOWHERE + "/a/{split}"}, {"files": NOWHERE + "/b/{split}"})
    with pytest.raises(InputError, match=r"a/.*: no connection; .*b/.*: no connection, as before"):
        corpora.fetch("tiny", tmp_path / "raw")


def test_a_mirror_that_is_neither_folder_nor_address(tmp_path, published):
    """A typing error in `mirror` must not silently send the user to the internet."""
    published({"files": NOWHERE + "/{split}.txt"})
    with pytest.raises(InputError, match="mirror 'nowhere' is neither a folder nor an address"):
        corpora.fetch("tiny", tmp_path / "raw", mirror="nowhere")


@pytest.mark.parametrize(
    ("length", "body", "reason"),
    [
        ("1000", b"a b", "connection broken off"),
        ("many", b"a b", "an answer that cannot be read"),
        ("5000", b"a" * 5000, "larger than 4,000 bytes"),
        ("46", b"<!DOCTYPE html><title>Please log in</title>....", "wrong sha256 for train"),
        ("0", b"", "wrong sha256 for train"),
    ],
)
def test_an_answer_that_is_no_file_sends_on_to_the_next_source(
    tmp_path, published, serve, monkeypatch, caplog, length, body, reason
):
    """Broken off, without a length, without an end, a login page, nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", length)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # it may have been hung up on
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    monkeypatch.setattr(archives, "LIMIT", 4000)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        bad = {"files": f"http://127.0.0.1:{server.server_port}/{{split}}"}
        published(bad)
        with pytest.raises(InputError, match=reason):
            corpora.fetch("tiny", tmp_path / "raw")
        assert tree(tmp_path / "raw") == []
        published(bad, {"files": serve(folder_of(tmp_path / "served")) + "/{split}.txt"})
        corpora.fetch("tiny", tmp_path / "raw")
        server.shutdown()
    assert contents(tmp_path / "raw") == TEXTS
    assert reason in caplog.text


def test_a_terminal_shows_how_far_a_download_is(tmp_path, published, serve, monkeypatch, capsys):
    """And only a terminal."""
    published({"files": serve(folder_of(tmp_path / "served")) + "/{split}.txt"})
    corpora.fetch("tiny", tmp_path / "plain")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    corpora.fetch("tiny", tmp_path / "shown")
    assert "100%" in capsys.readouterr().err
    assert contents(tmp_path / "shown") == TEXTS


def test_a_folder_corpus_is_copied(tmp_path):
    """The user's own text goes through the same door, byte for byte."""
    folder = folder_of(tmp_path / "mine")
    corpora.fetch("mine", tmp_path / "raw", folders={"mine": str(folder)})
    assert contents(tmp_path / "raw") == TEXTS


def test_a_file_system_that_refuses_to_flush(tmp_path, monkeypatch):
    """A text is fetched nevertheless, as records are written."""

    def refuse(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    folder = folder_of(tmp_path / "mine")
    corpora.fetch("mine", tmp_path / "raw", folders={"mine": str(folder)})
    assert contents(tmp_path / "raw") == TEXTS

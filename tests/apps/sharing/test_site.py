"""A site of pages without Python: what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import lrp_widgets as lw
from lrp_widgets.__main__ import main
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.link import to_query
from lrp_widgets.apps.sharing.site import export_site
from lrp_widgets.apps.sharing.state import to_state

MODEL, SAMPLES = lw.demo.models.digits_mlp(), lw.demo.data.digits()
STATE = to_state(Settings(7, lw.LRP(lw.epsilon(epsilon=0.5)), target=3), {"colormap": "grey-red"})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_page_for_each_sample_and_a_gallery_that_leads_to_them(tmp_path):
    heard: list[tuple[int, int]] = []
    gallery = export_site(MODEL, SAMPLES, tmp_path / "a" / "b", 2, progress=lambda *now: heard.append(now))
    assert gallery == tmp_path / "a" / "b" / "index.html"
    assert {*files(gallery.parent)} == {"0.html", "1.html", "index.html"}
    text = gallery.read_text("utf-8")
    for sample in range(2):
        assert f'<a href="{sample}.html"><img src="data:image/png;base64,' in text
        assert f"<span>{sample} · {SAMPLES.name(int(SAMPLES.labels[sample]))}</span>" in text
        assert '<a href="index.html">' in (gallery.parent / f"{sample}.html").read_text("utf-8")
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_the_same_call_writes_the_same_bytes(tmp_path):
    export_site(MODEL, SAMPLES, tmp_path / "a", 1)
    export_site(MODEL, SAMPLES, tmp_path / "b", 1)
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("state", [STATE, "?state=" + to_query(STATE)], ids=["table", "link"])
def test_a_state_decides_method_target_and_look(tmp_path, state):
    export_site(MODEL, SAMPLES, tmp_path, 1, state=state)
    page = (tmp_path / "0.html").read_text("utf-8")
    assert "class 3" in page and '"at":' in page and "ε" in page
    assert '"colormap":"grey-red"' in page
    assert lw.epsilon.title in (tmp_path / "index.html").read_text("utf-8")


def test_samples_without_a_picture_have_their_numbers(tmp_path):
    model, samples = lw.demo.models.digits_mlp(), lw.Samples(SAMPLES.inputs[:2].flatten(1), low=0.0, high=1.0)
    export_site(model, samples, tmp_path, 2)
    assert '<a href="1.html"><span>1</span></a>' in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.parametrize("count", [0, -1, 360, 10**9, True, 2.0])
def test_a_number_of_samples_that_there_is_not_is_refused(tmp_path, count):
    with pytest.raises(ValueError, match=r"^export_site\.count must lie in \[1, 359\], the samples there are, got "):
        export_site(MODEL, SAMPLES, tmp_path, count)
    assert files(tmp_path) == {}


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"^The folder .* is not empty\. Choose another one, or empty it\.$"):
        export_site(MODEL, SAMPLES, tmp_path, 1)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^The folder .*file/site cannot be made or read: .*\. Choose another one\.$"):
        export_site(MODEL, SAMPLES, tmp_path / "file" / "site", 1)

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OSError, match=r"cannot be written to: Permission denied\. Choose another one\.$"):
        export_site(MODEL, SAMPLES, tmp_path / "site", 1)


def test_a_disk_that_is_full_leaves_no_gallery(tmp_path, monkeypatch):
    write = Path.write_text

    def fill(self: Path, text: str, **options: str) -> int:
        if self.name == "1.html":
            raise OSError(28, "No space left on device")
        return write(self, text, **options)

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="No space left on device"):
        export_site(MODEL, SAMPLES, tmp_path, 2)
    assert {*files(tmp_path)} == {"0.html"}


@pytest.mark.parametrize(
    "state", ["?state=nonsense", "{", '{"lrp_widgets": 1, "method": 3}', '{"lrp_widgets": 1, "sample": 999}']
)
def test_a_state_that_does_not_fit_is_refused(tmp_path, state):
    with pytest.raises(StateError):
        export_site(MODEL, SAMPLES, tmp_path, 1, state=state)
    assert files(tmp_path) == {}


def test_the_command_line(tmp_path, capsys):
    main(["export", "--samples", "1", str(tmp_path / "site")])
    assert {*files(tmp_path / "site")} == {"0.html", "index.html"}
    said = capsys.readouterr().out.splitlines()[-1]
    assert (
        said == f"lrp_widgets: open {tmp_path / 'site' / 'index.html'}, or put the folder where a web server finds it"
    )
    with pytest.raises(SystemExit) as gave_up:
        main(["export", "--samples", "360", str(tmp_path / "other")])
    assert gave_up.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "python -m lrp_widgets export: error: export_site.count must lie in [1, 359], the samples there are, got 360."
    )

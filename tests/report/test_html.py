"""The page: whole, self-contained, safe with hostile names, and true to the result."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import subprocess
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrnet.detector import VideoResult
from lrnet.errors import ModelError, OutputError
from lrnet.network.registry import load_model
from lrnet.network.spec import MeasuredResult
from lrnet.report.examination import Examination
from lrnet.report.footage import take
from lrnet.report.html import command, policy, render, shell_word, write_html
from lrnet.report.json_report import to_document, to_json
from lrnet.report.wording import BLIND_SPOTS, HELD_BACK, WORDING
from lrnet.verdict import REASON_TEXT, ClipScore, Coverage, Reason
from lrnet.video.limits import Limits
from tests.appearance.kit import second_witness
from tests.report.samples import FAKE_FACE, RESULTS, UNCALIBRATED, a_bundle, a_face, a_result, a_video_result

VOID = {"meta", "link", "br", "img", "input", "hr"}
DRAWN = {"rect", "line", "image", "polyline"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.words)


@dataclass
class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> names an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/> does not close itself in HTML"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.words.append(data)

    def all(self, tag: str, name: str = "") -> list[Element]:
        return [e for e in self.elements if e.tag == tag and name in ("", e.attributes.get("class"))]


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def page_of(result: VideoResult, *, calibrated: bool = True) -> Page:
    return read(render(result, a_bundle(calibrated=calibrated)))


def words(page: Page) -> str:
    return " ".join(page.all("body")[0].text.split())


@pytest.mark.parametrize("name", RESULTS)
def test_page_is_well_formed_and_says_the_verdict(name: str) -> None:
    result = RESULTS[name]
    page = page_of(result)
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [e.text.split(maxsplit=1)[1] for e in page.all("h1")] == [WORDING[result.verdict.state].headline]
    assert WORDING[result.verdict.state].meaning in words(page)
    for reason in result.verdict.reasons:
        assert REASON_TEXT[reason][1:] in words(page)
    assert BLIND_SPOTS in words(page)


def test_a_figure_of_too_few_people_has_no_interval() -> None:
    few = MeasuredResult(dataset="one group", unit="video", metric="AUC", value=0.9, low=None, high=None, n=85)
    text = words(read(render(next(iter(RESULTS.values())), a_bundle(results=[few]))))
    assert "0.900 too few people 85 videos" in text


@pytest.mark.parametrize("name", RESULTS)
def test_page_asks_for_nothing_from_elsewhere(name: str) -> None:
    text = render(RESULTS[name], a_bundle())
    page = read(text)
    for element in page.elements:
        assert element.tag not in ("link", "iframe", "object", "form", "base")
        assert element.tag != "script" or not element.attributes
        for attribute, value in element.attributes.items():
            assert not attribute.startswith("on")
            assert attribute != "style"  # the policy would block it
            if attribute in ("src", "href", "xlink:href", "action", "poster"):
                assert value.startswith(("#", "data:image/jpeg;base64,", "data:application/json;base64,"))
    assert not re.search(r"https?:|@import|url\(", text)
    assert len(page.all("script")) == len(page.all("style")) == 1


def test_policy_lets_in_the_page_s_own_style_and_script_and_nothing_else() -> None:
    page = page_of(RESULTS["likely fake"])
    set_by_page = next(e for e in page.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy")
    own = {
        tag: base64.b64encode(hashlib.sha256(page.all(tag)[0].text.encode()).digest()).decode()
        for tag in ("style", "script")
    }
    assert set_by_page.attributes["content"] == policy()
    assert policy() == (
        f"default-src 'none'; img-src data:; media-src data: blob:; style-src 'sha256-{own['style']}'; "
        f"script-src 'sha256-{own['script']}'; base-uri 'none'; form-action 'none'"
    )


def test_the_page_carries_its_json_twin() -> None:
    result = RESULTS["several faces"]
    link = next(e for e in page_of(result).all("a") if "download" in e.attributes)
    assert link.attributes["download"] == "clip.json"
    content = base64.b64decode(link.attributes["href"].partition(",")[2]).decode()
    assert content == to_json(to_document(result, a_bundle())) + "\n"
    assert hashlib.sha256(content.encode()).hexdigest() in words(page_of(result))


def test_links_and_labels_point_to_something() -> None:
    page = page_of(RESULTS["several faces"])
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        targets = element.attributes.get("aria-labelledby", "").split()
        href = element.attributes.get("href", "")
        if href.startswith("#") and not re.fullmatch(r"#t=\d+(\.\d+)?", href):
            targets.append(element.attributes["href"][1:])
        assert set(targets) <= set(ids)
    for drawing in page.all("svg"):
        spoken = drawing.attributes.keys() & {"aria-label", "aria-labelledby"}
        assert drawing.attributes.get("aria-hidden") == "true" or spoken


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    result = RESULTS["hostile name"]
    text = render(result, a_bundle())
    page = read(text)
    assert len(page.all("script")) == 1
    assert '/tmp/<script>alert("1")</script>\\n\\x1b[31m\\u202eünï&[red]🙂\\udcff.mp4' in words(page)
    assert not re.search("[\x1b\u202e]", text)


def test_the_command_names_what_changes_the_scores() -> None:
    result = replace(RESULTS["likely fake"], limits=Limits(frames=60, share=0.5))
    built_in = load_model(appearance=False)
    options = "--no-appearance --limit frames=60 --limit share=0.5"
    assert command(result, built_in) == f"lrnet detect clip.mp4 --model lrnet-2 {options}"
    assert command(RESULTS["likely fake"], load_model()) == "lrnet detect clip.mp4 --model lrnet-2"
    assert command(RESULTS["likely fake"], replace(built_in, path=Path("lrnet-2"))).endswith(
        "--model ./lrnet-2 --no-appearance"  # a folder of that name
    )


@pytest.mark.parametrize("name", ["clip.mp4", "it's.mp4", "a b\n\x1b[31m'\\\u202eü.mp4", "--model", "x\udcff$(id)"])
def test_command_names_the_file_to_a_shell(name: str) -> None:
    word = shell_word(name)
    assert word.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert said == name.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(("path", "word"), [("clip.mp4", "clip.mp4"), ("--quiet", "./--quiet"), ("a b", "a b")])
def test_command_repeats_the_examination(path: str, word: str) -> None:
    said = page_of(replace(RESULTS["likely fake"], path=path)).all("code")[0].text
    assert shlex.split(said) == ["lrnet", "detect", word, "--model", "./sample"]


def test_scale_marks_the_probability_over_the_bands() -> None:
    page = page_of(RESULTS["likely fake"])
    assert page.all("line", "needle")[0].attributes["x1"] == "97.0%"
    bands = [(e.attributes["class"], e.attributes["x"]) for e in page.all("rect") if e.attributes.get("height") == "14"]
    assert bands == [("no_evidence_of_manipulation", "0.0%"), ("inconclusive", "30.0%"), ("likely_fake", "90.0%")]


def test_the_number_of_the_verdict_is_that_of_everybody_together() -> None:
    assert "Probability that the face is manipulated" in words(page_of(RESULTS["likely fake"]))
    assert "Probability that anybody in the video is manipulated" in words(page_of(RESULTS["several faces"]))


def test_the_key_of_the_scale_names_the_thresholds_of_both_witnesses() -> None:
    """A model with both has thresholds of its own, beside those of motion alone."""
    bundle = a_bundle(calibrated=True)
    limits = second_witness().thresholds
    assert limits is not None
    limits = limits.model_copy(update={"likely_fake": 0.87, "no_evidence": 0.23})
    spec = bundle.spec.model_copy(update={"appearance": second_witness(thresholds=limits)})
    text = words(read(render(RESULTS["likely fake"], replace(bundle, spec=spec))))
    assert "no evidence of manipulation, up to 0.23" in text
    assert "likely fake, from 0.87" in text


def test_no_number_stands_beside_a_verdict_that_does_not_decide() -> None:
    for name in ("held back", "half a file", "inconclusive"):
        page, number = page_of(RESULTS[name]), f"{RESULTS[name].verdict.probability:.2f}"
        assert page.all("line", "needle") == []
        assert ("The verdict is held back for these reasons" in words(page)) == (name != "inconclusive")
        assert number not in next(e.text for e in page.all("section") if e.attributes["id"] == "summary")
        assert (f"Probability of manipulation {number}" in words(page)) == (name == "inconclusive")
    assert "held back" not in words(page_of(RESULTS["likely fake"]))


def test_a_person_is_not_cleared_by_half_a_file() -> None:
    page = page_of(RESULTS["half a file"])
    (row,) = (" ".join(e.text.split()) for e in page.all("summary") if e.text.startswith("Person"))
    assert row.startswith("Person 1 inconclusive, held back")
    assert f"Less than half of the video was examined. {HELD_BACK}" in words(page)
    assert "no evidence" not in words(page).lower().split("what was examined")[0]


def test_the_summary_says_what_to_do_and_when() -> None:
    page = page_of(RESULTS["likely fake"])
    summary = " ".join(next(e.text for e in page.all("section") if e.attributes["id"] == "summary").split())
    assert "Do not publish or accuse on this result alone." in summary
    assert re.search(r"Person \d: 0:00\.0 to 0:\d\d\.\d", summary)
    assert "assumes that one video in two is fake" in summary
    assert "A statistical reading of motion" in summary
    marks = [e.attributes["data-from"] for e in page.all("rect", "likely_fake") if "data-from" in e.attributes]
    links = [e.attributes["href"] for e in page.all("a") if e.attributes["href"].startswith("#t=")]
    assert marks
    assert links[: 1 + len(marks)] == ["#t=0.0", *(f"#t={time}" for time in marks)]
    assert "Most suspicious: 0:00.0 to 0:07.2, person 0" in words(page_of(RESULTS["several faces"]))
    for name in ("no evidence", "inconclusive"):
        assert "Suspicious:" not in words(page_of(RESULTS[name]))


def test_one_name_for_each_state() -> None:
    for name, result in RESULTS.items():
        text = words(page_of(result))
        assert "Likely manipulated" not in text, name
        assert all(
            word not in text.split("What was examined")[0] for word in ("log odds", "Kalman", "cross-validation")
        )


def test_a_video_examined_in_part_says_so_at_the_top() -> None:
    result = RESULTS["no evidence"]
    coverage = Coverage(2.9, 10.0, (Reason.PARTLY_EXAMINED,))
    cut = replace(result, verdict=replace(result.verdict, coverage=coverage))
    assert "Examined in part: the first 2.9 of 10.0 s" in words(page_of(cut))
    assert "Examined in part" not in words(page_of(result))


def test_the_page_says_when_and_by_whom() -> None:
    then = Examination.of(time="2026-11-27T14:30:00+01:00", case="24 Js <b>", examiner="A. Müller", notes="one\ntwo")
    result = RESULTS["likely fake"]
    text = render(result, a_bundle(), examination=then)
    told = words(read(text))
    for said in ("2026-11-27T13:30:00Z (local 2026-11-27T14:30:00+01:00)", "24 Js <b>", "A. Müller", "one two"):
        assert said in told
    assert text == render(replace(result, elapsed=result.elapsed + 1), a_bundle(), examination=then)
    assert "date and examiner were not recorded" in words(page_of(result))
    assert "counter(page)" in text


def test_uncalibrated_score_is_not_called_a_probability() -> None:
    page = page_of(UNCALIBRATED, calibrated=False)
    assert "the score is not a probability" in words(page)
    assert "Calibrated probability" not in words(page)
    assert "declares no thresholds and no error rates" in words(page)
    assert page.all("rect", "likely_fake") == []


def test_error_rates_stand_with_what_they_were_measured_on() -> None:
    text = words(page_of(RESULTS["no evidence"]))
    assert "Measured on 50 real and 50 fake sample videos: 4 % of the real videos were called likely fake" in text
    assert "for 12 % of the fake ones there was no evidence" in text
    assert "0.910 to 0.990" in text


def test_timeline_shows_clips_and_what_was_not_scored() -> None:
    page = page_of(RESULTS["no evidence"])  # clips at 1.0-3.36, then after a gap 5.4-7.76, 7.8-10.16; axis to 12 s
    bars = [e for e in page.all("rect", "bar") if "x" in e.attributes]
    assert [float(e.attributes["x"][:-1]) for e in bars] == pytest.approx([100 / 12, 45, 65], abs=0.01)
    assert [float(e.attributes["height"][:-1]) for e in bars] == [5, 2, 10]
    gaps = [e for e in page.all("line", "gap-line") if e.attributes["x2"] != "100%"]
    assert [float(e.attributes["x1"][:-1]) for e in gaps] == pytest.approx([28], abs=0.01)
    assert "One clip scores" not in words(page)
    rows = [e.text.split() for e in page.all("tr") if e.text.split()[:1] == ["0:05.4"]]
    assert rows == [["0:05.4", "0:07.8", "60", "0.02", "0.02", "0.02"]]


def test_poor_material_is_marked_in_the_table() -> None:
    page = page_of(RESULTS["held back"])
    held = {e.text.strip().split("\n")[0] for e in page.all("tr", "held")}
    assert len(held) == 5
    assert page_of(RESULTS["likely fake"]).all("tr", "held") == []


def test_long_videos_with_many_faces_stay_small() -> None:
    clips = tuple(ClipScore(i * 2.4, i * 2.4 + 2.36, 60, (i % 100) / 100, {"a": 0.5}) for i in range(3_000))
    long = replace(FAKE_FACE, clips=clips, stop=7_200.0)
    faces = [long, *(replace(long, face=n) for n in range(1, 12))]
    faces += [a_face(n, FAKE_FACE.state, 0.5, [0.5], [Reason.ABOVE_THRESHOLD]) for n in range(12, 800)]
    text = render(a_result(faces, seconds=7_200.0), a_bundle())
    page = read(text)
    assert len(text.encode()) < 1_000_000
    assert len(page.all("details", "person")) == 12
    assert len(page.all("line", "range")) > 1000
    assert "488 more people are in the JSON document" in words(page)
    assert "too large to be kept in this page" in words(page)


def test_pictures_show_the_face_with_its_landmarks(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    write_html(result, a_bundle(), tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    page = read(text)
    pictures = page.all("image")
    assert len(pictures) == 2  # the first clip is the highest already
    assert len(page.all("polyline", "over")) == 9 * len(pictures)
    assert [e.attributes["id"] for e in page.all("input")] == ["landmarks"]
    assert "highest score, score 0.95" in words(page)
    data = base64.b64decode(pictures[0].attributes["href"].partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (320, 320, 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["moving.mp4", "out.html"]


def test_pictures_are_of_the_right_frame_and_place(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    frames = take(result, result.faces).pictures
    sequence = result.sequences[0]
    for frame in frames:
        clip = frame.moment.clip
        assert clip is not None
        assert frame.moment.time == pytest.approx((clip.start + clip.stop) / 2, abs=0.021)
        assert frame.points is not None
        centre = (frame.points.min(axis=0) + frame.points.max(axis=0)) / 2
        np.testing.assert_allclose(centre, (159.5, 159.5), atol=0.1)
        rgb = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        # The disc's edge, a radius from the sequence's centre, lies where the landmarks' scale puts it.
        points = sequence.values[0] * sequence.half_side
        zoom = np.ptp(frame.points[:, 0]) / np.ptp(points[:, 0])
        shift = (points.min(axis=0) + points.max(axis=0)) / 2
        disc = (159.5, 159.5) - shift * zoom
        inside, outside = (
            rgb[round(disc[1]), round(disc[0] + k * zoom * sequence.half_side)].astype(int) for k in (0.9, 1.1)
        )
        np.testing.assert_allclose(inside, (200, 160, 140), atol=12)
        np.testing.assert_allclose(outside, (90, 100, 110), atol=12)


def test_without_landmarks_the_whole_frame_is_shown(tmp_path: Path) -> None:
    result = replace(a_video_result(tmp_path), sequences=())
    write_html(result, a_bundle(), tmp_path / "out.html")
    page = read((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert len(page.all("image")) == 2
    assert page.all("polyline") == []
    assert page.all("image")[0].attributes["width"] == "320"


def test_video_that_is_gone_gives_a_page_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the tests are run there may be a clip.mp4
    write_html(RESULTS["likely fake"], a_bundle(), tmp_path / "out.html")
    page = read((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert page.all("image") == []
    assert "could not be read a second time. There is no file clip.mp4" in words(page)


def test_refusals(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    with pytest.raises(OutputError, match="examined video itself"):
        write_html(result, a_bundle(), result.path)
    with pytest.raises(OutputError, match="no folder"):
        write_html(result, a_bundle(), tmp_path / "nowhere" / "out.html")
    with pytest.raises(ModelError, match="was made with model"):
        write_html(replace(result, model_hash="00" * 32), a_bundle(), tmp_path / "out.html")
    assert [p.name for p in tmp_path.iterdir()] == ["moving.mp4"]

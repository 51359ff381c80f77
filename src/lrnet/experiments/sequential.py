"""How soon does a running verdict call a fake, and how often does it accuse a genuine call?

    python -m lrnet.experiments.sequential [--scores DIR] [--store STORE]... [--folder COPIES]... [--networks]
                                           [--model M] [--appearance]

DIR holds the scores of `lrnet crossval --out`: every video by a network that knew neither its people nor its source,
calibrated here without its fold. A store's videos are judged by the model M as `Detector.stream` does, look for look;
COPIES is a folder of `tools/make_calls.py`, whose videos are decoded and judged. Only people whom M was not trained on
count. With --networks, copies of the cross-validation's own videos are judged too, by the network that knew neither
their people nor their source (DIR is then of `lrnet crossval --keep-networks`), with M's thresholds. Motion alone is
asked unless --appearance is given. The genuine videos of one person and source are joined to one call, since most last
a few seconds; an alarm counts once a call. Hours are those in which the rule could have held: a call of six seconds
says nothing about a rule that needs eight. Intervals are 95 %, over people.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.manifest import read_manifest
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import with_crops
from lrnet.detector import Detector
from lrnet.errors import LrnetError
from lrnet.evaluation.decide import HeldOut, fit_calibration, unrelated
from lrnet.evaluation.protocol import known_people, shows_one_of
from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.training.crossval import kept_scores, left_out_networks
from lrnet.verdict import Rules, State, Stretch, judge_face
from lrnet.verdict.running import RULE, WINDOW, RunningJudge, RunningVerdict, Sequential, SequentialRule, rule_of

RULES: Final = tuple(SequentialRule(math.log(odds), hold) for hold in (0.0, 2.0, 5.0) for odds in (4.0, 6.0, 9.0, 19.0))
"""A hold of 0 is no rule: the first look beyond the threshold accuses."""

Look = tuple[float, dict[int, float]]
"""Seconds, and the log ratio of each person who may be called fake."""


@dataclass(frozen=True, slots=True)
class Call:
    """One or several videos of the same people, looked at every second.

    Attributes:
        group: identity group.
        videos: how many were joined.
    """

    group: str
    fake: bool
    videos: int
    looks: tuple[Look, ...]

    def alarm(self, rule: SequentialRule) -> float | None:
        """Seconds at which the rule first holds for anybody; None if never."""
        rules: dict[int, Sequential] = {}
        for time, people in self.looks:
            rules = {n: rules.get(n) or Sequential(rule) for n in people}
            if any([rules[n].look(time, ratio) for n, ratio in people.items()]):
                return time
        return None

    def exposed(self, rule: SequentialRule) -> float:
        """Seconds in which the rule could hold."""
        if not self.looks:
            return 0.0
        return max(0.0, self.looks[-1][0] - self.looks[0][0] - rule.hold + 1.0)


def look_of(running: RunningVerdict) -> Look:
    """What the sequential rule reads of a running verdict."""
    accusable = (p.verdict for p in running.faces if p.verdict.state is State.LIKELY_FAKE)
    return running.time, {p.face: p.log_ratio for p in accusable if p.log_ratio is not None}


def calls_of_scores(held: Sequence[HeldOut], rules: Rules) -> list[Call]:
    """The calls of cross-validated videos, whose people neither trained nor calibrated; thresholds are the model's."""
    whole = [h for h in held if not h.edit]
    calls: list[Call] = []
    for fold in sorted({h.fold for h in whole}):
        inside = [h for h in whole if h.fold == fold]
        others = unrelated(held, (h.video.record for h in inside))
        own = replace(rules, score_calibration=fit_calibration(others, rules, ""))
        joined: dict[tuple[str, str, str], list[HeldOut]] = defaultdict(list)
        for h in inside:
            record = h.video.record
            joined[record.group, record.source, record.key if h.video.is_fake else ""].append(h)
        for (group, _, _), some in joined.items():
            looks = tuple(_looks([_main(h) for h in some if h.video.people], own))
            if looks:
                calls.append(Call(group, some[0].video.is_fake, len(some), looks))
    return calls


def _main(held: HeldOut) -> list[Stretch]:
    """The stretches of the person who is in view longest."""
    person = max(held.video.people, key=lambda person: person.seconds)
    return list(person.stretches)


def _looks(videos: Sequence[Sequence[Stretch]], rules: Rules) -> Iterator[Look]:
    """The looks at videos that are played one after the other."""
    stretches: list[Stretch] = []
    end = 0.0
    for video in videos:
        first = min(s.start for s in video)
        for s in video:
            clips = tuple(replace(c, start=c.start - first + end, stop=c.stop - first + end) for c in s.clips)
            stretches.append(replace(s, start=s.start - first + end, stop=s.stop - first + end, clips=clips))
        end = max(s.stop for s in stretches)
    for time in np.arange(1.0, end + 1e-6):
        seen = [_until(s, float(time)) for s in stretches if s.start < time and s.stop > time - WINDOW]
        if not seen:
            continue
        person = judge_face(1, seen, rules)
        accusable = person.state is State.LIKELY_FAKE and person.log_ratio is not None
        yield float(time), {1: person.log_ratio or 0.0} if accusable else {}


def _until(stretch: Stretch, time: float) -> Stretch:
    start, stop = max(stretch.start, time - WINDOW), min(stretch.stop, time)
    clips = tuple(c for c in stretch.clips if c.start >= time - WINDOW and c.stop <= time)
    return replace(stretch, start=start, stop=stop, clips=clips)


def calls_of_store(bundle: ModelBundle, videos: Sequence[StoredVideo]) -> list[Call]:
    """The calls of stored landmarks, judged look for look; their scale is that of the whole track."""
    runtime, witness = NetworkRuntime(bundle), AppearanceNetwork.of(bundle)
    calls = []
    for video in videos:
        sequences = video.sequences() if witness is None else with_crops(video, video.sequences())
        judge = RunningJudge(bundle, runtime, witness)
        end = max((float(s.times[-1]) for s in sequences if len(s)), default=0.0)
        looks = []
        for time in np.arange(1.0, end + 1e-6):
            so_far = [s.between(-math.inf, float(time)) for s in sequences if len(s) and s.times[0] < time]
            looks.append(look_of(judge.look(float(time), [s for s in so_far if len(s)], video.quantiser)))
        if looks:
            calls.append(_call(video.record, looks))
    return calls


def calls_of_folder(detector: Detector, folder: Path, tell: Callable[[str], None] = print) -> list[Call]:
    """The calls of a folder with a manifest, decoded and judged; without people that the model was trained on."""
    calls = []
    known = known_people(detector.bundle.spec)
    for record in (r for r in read_manifest(folder / "manifest.csv") if not shows_one_of(known, r)):
        calls += _judged(detector, record, tell)
    return calls


def _judged(detector: Detector, record: VideoRecord, tell: Callable[[str], None]) -> list[Call]:
    """The call of one video; none if it cannot be judged."""
    try:
        looks = [look_of(event) for event in detector.stream(record.path) if isinstance(event, RunningVerdict)]
    except LrnetError as error:
        tell(f"  {record.key}: {error}")
        return []
    return [_call(record, looks)] if looks else []


def left_out_models(scores: Path, bundle: ModelBundle) -> dict[str, ModelBundle]:
    """Identity group -> the network of a cross-validation that did not know it, calibrated without its fold.

    Args:
        scores: folder of `lrnet crossval --out DIR --keep-networks`.
        bundle: whose thresholds are taken.
    """
    held, networks = [h for h in kept_scores(scores) if h.repeat == 0], left_out_networks(scores)
    models: dict[int, ModelBundle] = {}
    for fold in {h.fold for h in held}:
        inside = [h.video.record for h in held if h.fold == fold]
        network = networks[inside[0].group]
        calibration = fit_calibration(unrelated(held, inside), Rules.of(bundle.spec), "people left out")
        update = {"score_calibration": calibration, "thresholds": bundle.spec.thresholds}
        models[id(network)] = replace(network, spec=network.spec.model_copy(update=update))
    return {group: models[id(network)] for group, network in networks.items()}


def calls_of_copies(models: Mapping[str, ModelBundle], folder: Path, tell: Callable[[str], None] = print) -> list[Call]:
    """The calls of a folder with a manifest, decoded and judged each by the model that did not know its people."""
    detectors: dict[int, Detector] = {}
    calls = []
    for record in read_manifest(folder / "manifest.csv"):
        model = models.get(record.group)
        if model is None:
            tell(f"  {record.key}: the cross-validation has nobody of {record.group}")
            continue
        if id(model) not in detectors:
            detectors[id(model)] = Detector(model)
        calls += _judged(detectors[id(model)], record, tell)
    return calls


def _call(record: VideoRecord, looks: Sequence[Look]) -> Call:
    return Call(record.group, record.label is Label.FAKE, 1, tuple(looks))


def report(
    name: str, calls: Sequence[Call], rules: Sequence[SequentialRule] = RULES, used: SequentialRule = RULE
) -> str:
    """A Markdown table with a row for each rule, under what was counted."""
    real, fake = [c for c in calls if not c.fake], [c for c in calls if c.fake]
    rows = []
    for rule in rules:
        times = sorted(t for t in (c.alarm(rule) for c in fake) if t is not None)
        mark = " (the rule)" if rule == used else ""
        threshold = f"{1 / (1 + math.exp(-rule.log_ratio)):.2f}"
        hours, alarms, low, high = false_alarms(real, rule)
        people = len({c.group for c in real if c.exposed(rule)})
        accused = len({c.group for c in real if c.alarm(rule) is not None})
        rate = f"{alarms / hours:.1f} ({low:.1f} to {high:.1f})" if hours else ""
        rows.append(
            [
                f"{threshold} for {rule.hold:g} s{mark}",
                f"{len(times)} of {len(fake)}",
                *(_when(times, len(fake), share) for share in (0.5, 0.8)),
                f"{alarms} in {60 * hours:.1f} min",
                rate,
                f"{accused} of {people}",
            ]
        )
    counted = [
        f"{sum(c.videos for c in some)} {what} videos of {len({c.group for c in some})} groups of people"
        for some, what in ((real, "genuine"), (fake, "fake"))
    ]
    head = ("rule", "fakes called", "s until 50 %", "s until 80 %", "false alarms", "an hour", "people accused")
    return f"{name}: {' and '.join(counted)}\n\n{table(head, rows)}"


def _when(times: Sequence[float], fakes: int, share: float) -> str:
    needed = math.ceil(share * fakes)
    return f"{times[needed - 1]:.0f}" if 0 < needed <= len(times) else "never"


def false_alarms(real: Sequence[Call], rule: SequentialRule) -> tuple[float, int, float, float]:
    """Hours of genuine calls, alarms in them, and the 95 % interval of alarms an hour.

    The interval resamples identity groups; without an alarm its end is that of Poisson's law (0.975 of no event).
    """
    seconds: dict[str, float] = defaultdict(float)
    alarms: dict[str, int] = defaultdict(int)
    for call in real:
        seconds[call.group] += call.exposed(rule)
        alarms[call.group] += call.alarm(rule) is not None
    t, k = np.array(list(seconds.values())) / 3600, np.array(list(alarms.values()))
    hours, count = float(t.sum()), int(k.sum())
    if not hours:
        return 0.0, count, math.nan, math.nan
    if not count:
        return hours, 0, 0.0, -math.log(0.025) / hours
    draws = np.random.default_rng(0).integers(len(t), size=(2000, len(t)))
    rates = k[draws].sum(axis=1) / np.maximum(t[draws].sum(axis=1), 1e-9)
    low, high = np.quantile(rates, [0.025, 0.975])
    return hours, count, float(low), float(high)


def main() -> None:
    parser = environment.parser(__doc__, "model")
    parser.add_argument("--scores", type=Path, help="folder of `lrnet crossval --out`")
    parser.add_argument("--store", type=Path, action="append", default=[])
    parser.add_argument("--folder", type=Path, action="append", default=[], help="of tools/make_calls.py")
    parser.add_argument(
        "--networks", action="store_true", help="judge the folders by the networks of --scores, people left out"
    )
    parser.add_argument("--appearance", action="store_true", help="ask both witnesses")
    args = parser.parse_args()
    if args.networks and (args.scores is None or args.appearance):
        parser.error("--networks judges by the networks of --scores, which ask motion alone")
    bundle = load_model(args.model)
    motion = bundle.motion_alone()
    bundle = bundle if args.appearance else motion
    used = rule_of(bundle)
    out = Console(width=180, highlight=False)
    if args.scores is not None:
        calls = calls_of_scores(kept_scores(args.scores), Rules.of(motion.spec))
        out.print(report("cross-validation, motion alone", calls), markup=False)
    known = known_people(bundle.spec)
    for path in args.store:
        videos = [v for v in environment.stored(path) if not shows_one_of(known, v.record)]
        out.print(report(path.name, calls_of_store(bundle, videos), used=used), markup=False)
    models = left_out_models(args.scores, motion) if args.networks else {}
    for path in args.folder:
        calls = calls_of_copies(models, path) if args.networks else calls_of_folder(Detector(bundle), path)
        out.print(report(path.name, calls, used=used), markup=False)


if __name__ == "__main__":
    environment.run(main)

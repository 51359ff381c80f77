"""Measurements that can be repeated on other videos: one module for each question.

The experiments of the paper are commands of `lrnet benchmark` (`lrnet.experiments.paper`, docs/experiments.md). Others:

| question | command |
|---|---|
| How do landmarkers compare, what does calibration remove, at what lag? | `lrnet benchmark calibration VIDEO` |
| How much do landmarks shake on a face whose motion is known? | `python -m lrnet.experiments.known_motion VIDEO` |
| What becomes of a verdict when a video is edited? | `python -m lrnet.experiments.edits`, of landmarks |
| The same, of videos that are edited and encoded? | `python -m lrnet.experiments.edited` |
| Are people distinguished by their looks? | `python -m lrnet.experiments.people` |
| Is a verdict held back where there is no face to judge, or a doubtful one? | `python -m lrnet.experiments.doubt` |
| What do coding and size do to scores and verdicts? | `python -m lrnet.experiments.coarse_encoding` |
| Can motion accuse somebody unknown in a coarsely encoded video? | `python -m lrnet.experiments.coarse_people` |
| What is lost where only a part of a video is examined? | `python -m lrnet.experiments.examined_share` |
| Can it be said which part of a face carries a score? | `python -m lrnet.experiments.explanation` |
| Do verdicts hold when somebody attacks the landmarks? | `python -m lrnet.experiments.landmark_attack` |
| What do motion and appearance find, alone and together? | `python -m lrnet.experiments.witnesses` |
| Does a plain number tell the pairs apart that appearance is trained on? | `python -m lrnet.experiments.tells` |
| Does the map of the pixels point at what was altered? | `python -m lrnet.experiments.pixel_map` |
| How many frames repeat the one before? | `python -m lrnet.experiments.repeats` |
| How fast is detection, and where does the time go? | `lrnet benchmark speed VIDEO` |
| What does one pass cost, with a crop that does not know the whole video? | `lrnet benchmark crop` |
| How fast is the network, and do ONNX Runtime and PyTorch agree? | `lrnet benchmark network` |
"""

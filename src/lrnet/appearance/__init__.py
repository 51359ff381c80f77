"""What a few crops of a face show: a second witness beside the motion of its landmarks.

    frame + landmarks --crop_face--> (128, 128, 3) RGB --AppearanceNetwork--> one logit a crop

A crop is taken every half second (`CROP_EVERY`), so the network costs about a hundredth of what landmarks cost.
"""

from lrnet.appearance.crops import CROP_EVERY, CROP_SIZE, crop_face

__all__ = ["CROP_EVERY", "CROP_SIZE", "crop_face"]

"""What an entry of `Match.gt_index` means when it is not a row."""

UNMATCHED = -1  # a negative: the anchor shows background
IGNORED = -2  # neither: the anchor takes no part in the loss

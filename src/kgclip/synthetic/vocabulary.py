"""The words of Kinetics-TPS that figures speak: part states and objects, as its ``list/`` files give them."""

# The 61 states that occur in the published graph, as they are written on disk; then 13 of our own, to make 74 as in
# Kinetics-TPS, whose own list is not public outside the data set.
_STATES = (
    "applaud bend bind bleed brush carry catch clap claw close draw drink feed flip fold grab heft hold hug kick lift "
    "loosen lug nip nod others package pat peg plug press prick pull push put_down scratch shake shift sit slice slide "
    "smack smear snatch sprinkle step step_on stir strike strum sway sweep swing take throw tie tiptoe turn unbend "
    "upturn wave "
    "none stand raise stoop lie kneel hang jump squat tilt rotate point cross"
)
# ``none`` and the 68 objects of the published graph; then six of our own, to make 75.
_OBJECTS = (
    "none accordion arm arrow backpack ball balloon banana baseball baseball_bat baseball_glove basketball bed beer "
    "bench bicycle body book bottle camera cat cello chainsaw couch dice dog doll door drink drum dumbbell eye face "
    "finger flute foot footwear fruit glove guitar hammer hand handbag hat head helmet knife leg mobile_phone "
    "motorcycle musical_keyboard paddle pen plant plastic_bag remote_control scarf shirt skateboard ski snowboard "
    "surfboard table toilet_paper towel violin volleyball waist wheelchair "
    "barbell rope discus bar punching_bag bull"
)

STATES = tuple(sorted(word.replace("_", " ") for word in _STATES.split()))
"""The 74 part states, with spaces."""

OBJECTS = tuple(sorted(word.replace("_", " ") for word in _OBJECTS.split()))
"""The 75 objects, with spaces; ``none`` is an object outside the vocabulary."""


def on_disk(name: str) -> str:
    """Write a name as file names and annotations of Kinetics-TPS do, with underscores."""
    return name.replace(" ", "_")

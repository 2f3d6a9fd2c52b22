"""Tables that people wrote down: what a digit, a piece of clothing and an emotion are."""

# what a printed digit looks like; handwriting differs now and then
STROKES: dict[str, tuple[int, ...]] = {
    "closed_loop": (0, 6, 8, 9),
    "two_loops": (8,),
    "loop_above": (8, 9),
    "loop_below": (6, 8),
    "only_straight": (1, 4, 7),
    "top_bar": (5, 7),
    "base_bar": (2,),
    "open_to_the_left": (2, 3, 5, 7, 9),
    "long_upright": (1, 4),
    "mirror_symmetric": (0, 1, 8),
}

# worn_on, sleeves, shoe, front_opening, warm: in the order of Fashion-MNIST's label ids
CLOTHING: dict[str, tuple[str, str, str, int, int]] = {
    "t-shirt": ("upper body", "short", "none", 0, 0),
    "trouser": ("legs", "none", "none", 0, 0),
    "pullover": ("upper body", "long", "none", 0, 1),
    "dress": ("whole body", "none", "none", 0, 0),
    "coat": ("upper body", "long", "none", 1, 1),
    "sandal": ("feet", "none", "open", 0, 0),
    "shirt": ("upper body", "long", "none", 1, 0),
    "sneaker": ("feet", "none", "low", 0, 0),
    "bag": ("hand", "none", "none", 0, 0),
    "ankle boot": ("feet", "none", "high", 0, 1),
}

# Ekman's groups of GoEmotions' labels, and their sentiment (Demszky et al., 2020)
EKMAN: dict[str, tuple[str, ...]] = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief",
        "pride", "admiration", "desire", "caring",
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}  # fmt: skip
SENTIMENT: dict[str, str] = {
    "anger": "negative",
    "disgust": "negative",
    "fear": "negative",
    "joy": "positive",
    "sadness": "negative",
    "surprise": "ambiguous",
    "neutral": "neutral",
}

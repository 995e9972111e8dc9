"""The colour of every emotion, the same in all figures of the four emotions."""

# Paul Tol's vibrant scheme: told apart with every common colour blindness, and on grey pictures. His grey would not
# be seen there, so the neutral face has the cyan.
CLASS_COLOURS = {"neutral": "#33bbee", "smile": "#009988", "surprise": "#ee7733", "anger": "#cc3311"}

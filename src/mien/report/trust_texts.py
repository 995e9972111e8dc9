"""How to read the parts of the page "trust"."""

SURE = (
    "Confidence is the probability that a network gives to the emotion it names; a mean above the accuracy is a "
    "network that is too sure. ECE, the expected calibration error, is the mean distance between confidence and "
    "accuracy in {bins} bins of equal width (Guo et al. 2017, On calibration of modern neural networks): 0 would be a "
    "network that is right as often as it says. Of so few clips no ECE is 0; 'by chance' is the mean of a perfectly "
    "calibrated network with the same confidences, and in brackets what it stays below {level} of the time. NLL (mean "
    "-log of the probability of the true emotion) and the Brier score (squared distance from the truth, 0 to 2) are "
    "better when smaller and also pay for being right. 'After' divides the logits by one temperature per network, the "
    "one that makes the NLL of the fold's validation people smallest; it changes no label. These few people have "
    "chosen the epoch too, by the same NLL: a network tends to be better on them than on others, and the temperature "
    "to be too low. ECE pools the clips of all folds."
)
TEMPERATURES = (
    "The temperatures, fold by fold: above 1 a network was too sure on its validation people, below 1 not sure enough."
)
SILENT = (
    "A network that may stay silent judges only the clips that it is surest of (Geifman & El-Yaniv 2017, Selective "
    "classification for deep neural networks). The percentages are the accuracy on the share of the clips that is then "
    "judged; at 100% these are all. AURC is the mean share of mistakes over all such shares, smaller is better: "
    "'least' is what a network with as many mistakes reaches that knows each of them, 'by chance' one whose confidence "
    "means nothing. The clips of all folds are pooled, after the temperatures."
)
GROUPED = {
    "sex": "By the sex of the actor.",
    "statement": "By what is said.",
    "intensity": (
        "By how strongly it is acted, on the emotions and statements that are acted in more than one intensity: "
        "a neutral face has no strong counterpart."
    ),
}
DISTURBED = (
    "The same networks, not trained again, judge the same clips disturbed. Noise of a voice is white, at a ratio of "
    "the voice's mean power to that of the noise; a telephone passes 300 to 3400 Hz on, at 8 kHz. Noise and blur of "
    "pictures are standard deviations, in grey levels of 255 and in pixels of the stored region; light is a factor of "
    "all grey levels. Without a modality, a joint network is told that it is absent, and clips of which then nothing "
    "is left do not count. First the accuracy; then its difference to the same clips undisturbed; then by how much "
    "the mean confidence, without temperature, lies above the accuracy: a network that notices that it is worse gets "
    "less sure and stays near 0."
)
MEANT = (
    "The intended label is what the actor was told to act; the perceived one has most votes of the raters who met the "
    "clip as the network does: heard it, saw it, or both. Where several labels have the most votes ('tied', percent of "
    "the clips), each counts with its share. 'People' is how often the raters' label, and a single vote, is the "
    "intended one in the same clips: about what there is to be understood. A network above that has learnt from what "
    "actors do where people do not hear or see it."
)

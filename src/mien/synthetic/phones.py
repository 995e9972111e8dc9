"""The sounds of English and the sentences of RAVDESS and CREMA-D, as far as a synthesiser needs them.

Vowel formants are those of men in Peterson & Barney (1952); consonants follow the tables of Klatt (1980), simplified.
Symbols are ARPABET without stress.
"""

from dataclasses import dataclass

SENTENCES = {
    "kids": "K IH D Z AA R T AO K IH NG B AY DH AH D AO R",
    "dogs": "D AO G Z AA R S IH T IH NG B AY DH AH D AO R",
    "IEO": "IH T S IH L EH V AH N AH K L AA K",
    "TIE": "DH AE T IH Z IH G Z AE K T L IY W AH T HH AE P AH N D",
    "IOM": "AY M AA N M AY W EY T UW DH AH M IY T IH NG",
    "IWW": "AY W AH N D ER W AH T DH IH S IH Z AH B AW T",
    "TAI": "DH IY EH R P L EY N IH Z AO L M OW S T F UH L",
    "MTI": "M EY B IY T AH M AA R OW IH T W IH L B IY K OW L D",
    "IWL": "AY W UH D L AY K AH N UW AH L AA R M K L AA K",
    "ITH": "AY TH IH NG K AY HH AE V AH D AA K T ER Z AH P OY N T M AH N T",
    "DFA": "D OW N T F ER G EH T AH JH AE K AH T",
    "ITS": "AY TH IH NG K AY V S IY N DH IH S B IH F AO R",
    "TSI": "DH AH S ER F AH S IH Z S L IH K",
    "WSI": "W IY L S T AA P IH N AH K AH P AH L AH V M IH N AH T S",
}


@dataclass(frozen=True)
class Phone:
    """One sound.

    duration_s at an unhurried rate; formants (F1, F2, F3) Hz at its start and end, for a tract of 17.5 cm;
    voicing, frication and aspiration relative to a vowel's voicing; noise (centre, width) Hz of the frication;
    closed_s of silence before a stop's burst.
    """

    duration_s: float
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    voicing: float = 1.0
    frication: float = 0.0
    aspiration: float = 0.0
    noise: tuple[float, float] = (3000.0, 1500.0)
    closed_s: float = 0.0

    @property
    def is_vowel(self) -> bool:
        """Say whether the syllable's pitch accent can sit here."""
        return self.voicing == 1.0


def _steady(duration_s: float, f1: float, f2: float, f3: float, **more: object) -> Phone:
    return Phone(duration_s, (f1, f2, f3), (f1, f2, f3), **more)


def _plosive(duration_s: float, f1: float, f2: float, f3: float, **more: object) -> Phone:
    return _steady(duration_s, f1, f2, f3, voicing=0.0, **more)


PHONES = {
    "IY": _steady(0.090, 270, 2290, 3010),
    "IH": _steady(0.070, 390, 1990, 2550),
    "EH": _steady(0.085, 530, 1840, 2480),
    "AE": _steady(0.105, 660, 1720, 2410),
    "AA": _steady(0.110, 730, 1090, 2440),
    "AO": _steady(0.110, 570, 840, 2410),
    "UH": _steady(0.070, 440, 1020, 2240),
    "UW": _steady(0.090, 300, 870, 2240),
    "AH": _steady(0.060, 640, 1190, 2390),
    "ER": _steady(0.090, 490, 1350, 1690),
    "EY": Phone(0.110, (480, 1900, 2500), (330, 2200, 2700)),
    "AY": Phone(0.130, (710, 1180, 2450), (390, 2000, 2550)),
    "AW": Phone(0.130, (710, 1250, 2450), (430, 950, 2350)),
    "OW": Phone(0.110, (540, 950, 2400), (380, 820, 2250)),
    "OY": Phone(0.130, (540, 850, 2400), (380, 1950, 2500)),
    "L": _steady(0.050, 360, 1100, 2700, voicing=0.5),
    "R": _steady(0.055, 330, 1150, 1550, voicing=0.5),
    "W": _steady(0.055, 300, 640, 2200, voicing=0.45),
    "Y": _steady(0.045, 270, 2200, 3000, voicing=0.5),
    "M": _steady(0.060, 250, 1050, 2200, voicing=0.28),
    "N": _steady(0.055, 250, 1500, 2500, voicing=0.28),
    "NG": _steady(0.060, 250, 1900, 2600, voicing=0.28),
    "B": _steady(0.060, 220, 900, 2200, voicing=0.06, frication=0.10, noise=(900, 700), closed_s=0.045),
    "D": _steady(0.055, 220, 1700, 2600, voicing=0.06, frication=0.16, noise=(4000, 1300), closed_s=0.040),
    "G": _steady(0.060, 220, 1900, 2400, voicing=0.06, frication=0.14, noise=(2200, 800), closed_s=0.042),
    "P": _plosive(0.080, 300, 900, 2200, frication=0.16, aspiration=0.10, noise=(1000, 900), closed_s=0.050),
    "T": _plosive(0.075, 300, 1700, 2600, frication=0.28, aspiration=0.08, noise=(4300, 1400), closed_s=0.045),
    "K": _plosive(0.080, 300, 1900, 2400, frication=0.22, aspiration=0.10, noise=(2300, 900), closed_s=0.048),
    "S": _steady(0.085, 320, 1500, 2600, voicing=0.0, frication=0.22, noise=(6300, 1200)),
    "Z": _steady(0.065, 280, 1500, 2600, voicing=0.22, frication=0.12, noise=(6300, 1200)),
    "SH": _steady(0.085, 320, 1700, 2500, voicing=0.0, frication=0.24, noise=(3600, 1100)),
    "JH": _steady(0.075, 280, 1700, 2500, voicing=0.12, frication=0.18, noise=(3500, 1100), closed_s=0.035),
    "F": _steady(0.075, 320, 1000, 2300, voicing=0.0, frication=0.05, noise=(5000, 3500)),
    "V": _steady(0.050, 260, 1000, 2300, voicing=0.30, frication=0.03, noise=(5000, 3500)),
    "TH": _steady(0.070, 320, 1300, 2600, voicing=0.0, frication=0.04, noise=(6000, 2500)),
    "DH": _steady(0.040, 270, 1300, 2600, voicing=0.32, frication=0.02, noise=(6000, 2500)),
    "HH": _steady(0.050, 500, 1500, 2500, voicing=0.0, aspiration=0.18),
}

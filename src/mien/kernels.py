"""The kernels that libraries compute with: the same on any x86-64 processor with AVX2, so equal seeds give equal bits.

Libraries choose kernels by the processor, and two kernels add up in two orders. What chooses is set here, before any
library is imported: each reads its variables when it is loaded or first used.
"""

import logging
import os
import platform
import sys
from pathlib import Path

log = logging.getLogger(__name__)

PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions and recurrent layers
    "MKL_CBWR": "COMPATIBLE",  # torch's matrix products and transforms; the one branch for processors of all makers
    "OPENBLAS_CORETYPE": "Haswell",  # linear algebra of numpy and scipy
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # all of numpy's above AVX2; its own names
    "OPENCV_IPP": "avx2",
    # Sums are split by the number of threads, which would be that of the cores. Jobs ask torch for more by --jobs.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_CPU = Path("/proc/cpuinfo")
_imported_before: set[str] = set()


def pin() -> None:
    """Set the variables, whatever they were; on a machine that is not x86-64 they mean nothing and stay unread."""
    if not PINNED.items() <= os.environ.items():
        _imported_before.update({"numpy", "torch", "cv2"} & sys.modules.keys())
    os.environ |= PINNED
    if "avx512f" in _flags():  # where it is absent OpenCV complains that it cannot be switched off
        os.environ["OPENCV_CPU_DISABLE"] = "AVX512-SKX"


def x264_options() -> dict[str, str]:
    """Return the options of the encoder libx264, which reads no variable.

    With AVX-512 it can write another film at every call (seen with 170 x 128 px on an AMD EPYC of family 26); up to
    AVX2 it writes the same one everywhere.
    """
    return {"x264-params": "asm=avx2"} if "avx512f" in _flags() else {}


def deviations(*, elsewhere: bool = False) -> list[str]:
    """Say in words why numbers may differ in rounding from those of the same run on an x86-64 processor with AVX2.

    Parameters
    ----------
    elsewhere : other processes compute, not this one, so what it has imported does not matter.

    Returns
    -------
    list of str
        Empty where they will not. A GPU is known only once torch is imported.
    """
    found = []
    if platform.machine() not in {"x86_64", "AMD64"}:
        found.append(f"the processor is {platform.machine()}, not x86-64")
    elif _CPU.is_file() and "avx2" not in _flags():
        found.append("the processor has no AVX2")
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        found.append(f"it runs on {torch.cuda.get_device_name()}")
    if _imported_before and not elsewhere:
        found.append(
            f"{', '.join(sorted(_imported_before))} had been imported when mien was, and chose its own kernels"
        )
    return found


def warn(*, elsewhere: bool = False) -> None:
    """Log the deviations, if any."""
    if found := deviations(elsewhere=elsewhere):
        log.warning("numbers will differ in rounding from the published ones: %s", "; ".join(found))


def _flags() -> set[str]:
    lines = _CPU.read_text().splitlines() if _CPU.is_file() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())

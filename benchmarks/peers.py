"""What `throughput.py` runs beside `avaffect predict`; each prints frames and the loop's seconds.

    PYTHON benchmarks/peers.py decode|fer clip.mp4

`fer` needs an interpreter that has the package fer, and nothing of avaffect.
"""

import sys
import time


def decode(clip: str) -> tuple[int, float]:
    """Read frames through avaffect and do nothing with them."""
    from avaffect.media.frames import FrameReader

    with FrameReader(clip) as reader:
        start = time.perf_counter()
        frames = sum(1 for _ in reader)
    return frames, time.perf_counter() - start


def fer(clip: str) -> tuple[int, float]:
    """Detect faces and their seven emotions in every frame, as fer's documentation does."""
    import cv2
    from fer.fer import FER

    net = FER(mtcnn=False)
    video = cv2.VideoCapture(clip)
    start = time.perf_counter()
    frames = 0
    while True:
        more, frame = video.read()
        if not more:
            break
        net.detect_emotions(frame)
        frames += 1
    return frames, time.perf_counter() - start


if __name__ == "__main__":
    frames, seconds = {"decode": decode, "fer": fer}[sys.argv[1]](sys.argv[2])
    print(frames, seconds)

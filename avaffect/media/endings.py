"""How the names of files end that the decoder takes, by FFmpeg's name of the format."""

from __future__ import annotations

_MP4 = "mp4 mov qt m4v 3gp 3gpp 3g2 3gp2 f4v mj2 mjp2 ism ismv psp"
_VIDEO = {
    "mov": _MP4,
    "matroska": "mkv mk3d webm",
    "avi": "avi divx",
    "mpegts": "ts mts m2ts m2t mpegts",
    "mpeg": "mpg mpeg vob m2p mod tod evo",
    "mpegvideo": "m1v m2v mpv",
    "flv": "flv",
    "asf": "wmv asf",
    "ogg": "ogv ogm",
    "mxf": "mxf",
    "nut": "nut",
    "wtv": "wtv dvr-ms",
    "ivf": "ivf",
    "rm": "rm rmvb",
    "dv": "dv dif",
    "gxf": "gxf",
    "nsv": "nsv",
    "roq": "roq",
    "smk": "smk",
    "bink": "bik bk2",
    "yuv4mpegpipe": "y4m",
    "h261": "h261",
    "h263": "h263",
    "h264": "h264 264 avc h26l",
    "hevc": "hevc h265 265",
    "vvc": "vvc h266 266",
    "av1": "obu av1",
    "mjpeg": "mjpeg mjpg",
    "cavsvideo": "cavs",
    "dirac": "drc",
    "vc1": "vc1",
    "vc1test": "rcv",
    "swf": "swf",
    "gif": "gif",
    "apng": "apng",
}
_SOUND = {
    "mov": "m4a m4b m4r isma 3ga",
    "matroska": "mka weba",
    "asf": "wma",
    "ogg": "ogg oga opus spx",
    "rm": "ra",
    "wav": "wav wave bwf rf64",
    "w64": "w64",
    "mp3": "mp3 mp2 mp1 mpa m2a",
    "aac": "aac adts",
    "ac3": "ac3",
    "eac3": "eac3 ec3",
    "flac": "flac",
    "caf": "caf",
    "aiff": "aif aiff aifc",
    "amr": "amr awb",
    "au": "au snd",
    "ape": "ape mac apl",
    "dts": "dts",
    "tak": "tak",
    "tta": "tta",
    "truehd": "thd mlp",
    "wv": "wv",
    "nistsphere": "sph nist",
}
_PICTURES = (
    "jpg jpeg jpe jfif png bmp dib tif tiff webp heic heif avif jp2 j2k jls jxl pbm pgm ppm pam "
    "pnm mpo"
)


def _endings(formats: dict[str, str]) -> frozenset[str]:
    return frozenset(f".{ending}" for names in formats.values() for ending in names.split())


EXTENSIONS = _endings(_VIDEO)
"""Of videos, in lower case with the dot."""

SOUND_EXTENSIONS = _endings(_SOUND)
"""Of files that hold sound and no moving picture."""

PICTURE_EXTENSIONS = _endings({"image2": _PICTURES})
"""Of still pictures."""

MAYBE_PICTURES = frozenset({".gif", ".apng"})
"""Of ``EXTENSIONS``, those of files that may as well hold a picture that does not move."""

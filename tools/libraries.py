"""Shared libraries that wheels carry along, and their licenses: no metadata of a wheel name them."""

import re
from functools import cache
from importlib.metadata import Distribution
from pathlib import PurePosixPath

FFMPEG = "LGPL-3.0-or-later"
"""As the FFmpeg inside PyAV's wheel says of itself; it is linked with libx264 and libx265."""
_GNU = "LGPL-3.0-or-later OR GPL-2.0-or-later"
_GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
LICENSES = {
    **dict.fromkeys(("avcodec", "avdevice", "avfilter", "avformat", "avutil", "swresample", "swscale"), FFMPEG),
    **dict.fromkeys(("x264", "x265"), "GPL-2.0-or-later"),
    **dict.fromkeys(("gmp", "hogweed", "nettle", "unistring"), _GNU),
    **dict.fromkeys(("asound", "gnutls", "quadmath"), "LGPL-2.1-or-later"),
    "mp3lame": "LGPL-2.0-or-later",
    **dict.fromkeys(("gfortran", "gomp"), _GCC),
    **dict.fromkeys(("opencore-amrnb", "opencore-amrwb"), "Apache-2.0"),
    **dict.fromkeys(("dav1d", "avif", "openjp2"), "BSD-2-Clause"),
    **dict.fromkeys(("opus", "sharpyuv", "vpx", "webp", "webpdemux", "webpmux"), "BSD-3-Clause"),
    **dict.fromkeys(("scipy_openblas", "scipy_openblas64_"), "BSD-3-Clause"),
    "SvtAv1Enc": "BSD-3-Clause-Clear",
    **dict.fromkeys(("brotlicommon", "brotlidec", "drm", "lcms2", "vpl"), "MIT"),
    **dict.fromkeys(("Xau", "xcb", "xcb-shape", "xcb-shm", "xcb-xfixes"), "MIT"),
    "freetype": "FTL OR GPL-2.0-or-later",
    "harfbuzz": "MIT-Modern-Variant",
    "jpeg": "IJG AND BSD-3-Clause",
    "lzma": "0BSD",
    "png16": "libpng-2.0",
    "tiff": "libtiff",
    "zstd": "BSD-3-Clause OR GPL-2.0-only",
}

_NAME = re.compile(r"lib(.+?)(?:-[0-9a-f]{8})*\.(?:so|dylib)\b")


@cache
def libraries(package: Distribution) -> dict[str, str | None]:
    """The license of each library of others inside a wheel, by the library's name without "lib"; None: not known.

    Found by their files' names: all in a folder such as ``av.libs``, into which wheels' tools copy what a package is
    linked with, and those elsewhere that are known by name. What is linked statically has no file and is not found.
    """
    found: dict[str, str | None] = {}
    for path in map(PurePosixPath, package.files or ()):
        name = _NAME.match(path.name)
        if name and (path.parent.suffix in (".libs", ".dylibs") or name[1] in LICENSES):
            found[name[1]] = LICENSES.get(name[1])
    return dict(sorted(found.items()))
